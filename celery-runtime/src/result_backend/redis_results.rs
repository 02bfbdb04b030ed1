//! Results in Redis, under Celery's keys (`celery/backends/redis.py`).

use std::sync::OnceLock;
use std::time::Duration;

use celery_protocol::{Value, json};
use explain::explain;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, FromRedisValue, Pipeline, RedisError, RedisResult};

use super::redis_url::RedisUrl;
use crate::persistence::Persistence;

/// How long connecting and each answer may take.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// For one attempt at a whole operation.
const DEADLINE: Duration = Duration::from_secs(6);

/// How long sent bytes may stay unacknowledged before a connection counts as dead.
const DEAD_PEER: Duration = Duration::from_secs(3);

/// How long results are kept: Celery's `result_expires`, one day.
pub(super) const EXPIRES: u64 = 86_400;

/// A Redis that is asked until it answers: whoever does not want to wait any longer drops the future.
pub(crate) struct RedisResults {
    url: RedisUrl,
    connection: OnceLock<ConnectionManager>,
    persistence: Persistence,
}

/// The server has an answer that will not change: what stands under the key is not Celery's.
#[derive(Debug, thiserror::Error)]
#[error("Redis has something else under the key")]
pub(super) struct WrongType(#[source] RedisError);

/// Why one attempt has brought no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Redis(RedisError),
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Silent,
}

impl RedisResults {
    /// Connects on first use.
    pub(crate) fn new(url: RedisUrl) -> Self {
        Self {
            persistence: Persistence::new(
                format!("results cannot be stored in {url}"),
                "messages stay unacked until it answers",
                format!("results are stored in {url} again"),
            ),
            url,
            connection: OnceLock::new(),
        }
    }

    /// Stores what a task has come to and tells who waits for it. A success stands: whatever comes after it, such as
    /// from a lost worker's second run, is dropped.
    pub(crate) async fn store(&self, id: &str, meta: &str) {
        if self.status(id).await.as_deref() == Some("SUCCESS") {
            return;
        }
        let key = task_key(id);
        let mut commands = redis::pipe();
        commands
            .atomic()
            .set_ex(&key, meta, EXPIRES)
            .ignore()
            .publish(&key, meta)
            .ignore();
        if let Err(error) = self.ask::<()>(&commands).await {
            tracing::error!("the result of task {id} is lost: {}", explain(&error));
        }
    }

    /// The state that is stored for a task.
    pub(super) async fn status(&self, id: &str) -> Option<String> {
        let meta = self.get(&task_key(id)).await?;
        let status = meta.as_dict()?.get("status")?.as_str()?.to_owned();
        Some(status)
    }

    /// What is stored for a task, once it is final.
    pub(super) async fn ready(&self, id: &str) -> Option<Value> {
        let meta = self.get(&task_key(id)).await?;
        let status = meta.as_dict()?.get("status")?.as_str()?;
        matches!(status, "SUCCESS" | "FAILURE" | "REVOKED").then_some(meta)
    }

    /// The value of a key; `None` where there is none that Celery could have written.
    pub(super) async fn get(&self, key: &str) -> Option<Value> {
        let mut commands = redis::pipe();
        commands.get(key);
        let (found,): (Option<Vec<u8>>,) = self.ask(&commands).await.unwrap_or_default();
        json::parse(&found?).ok()
    }

    /// Asks until there is an answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, WrongType> {
        let attempt = || async {
            let asked = async { commands.query_async(&mut self.connection()?).await };
            match tokio::time::timeout(DEADLINE, asked).await {
                // An answer, even one that will not change.
                Ok(Err(error)) if is_wrong_type(&error) => Ok(Err(WrongType(error))),
                Ok(Err(error)) => Err(NoAnswer::Redis(error)),
                Ok(Ok(answer)) => Ok(Ok(answer)),
                Err(_elapsed) => Err(NoAnswer::Silent),
            }
        };
        self.persistence.forever(attempt).await
    }

    fn connection(&self) -> RedisResult<ConnectionManager> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(DEAD_PEER);
        let client = Client::open(self.url.connection_info(tcp)?)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            // Whoever asks tries again.
            .set_number_of_retries(0);
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(self.connection.get_or_init(|| connection).clone())
    }
}

/// Older servers tell it only in the text of a script's error.
fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE") || error.to_string().contains("WRONGTYPE")
}

fn task_key(id: &str) -> String {
    format!("celery-task-meta-{id}")
}
