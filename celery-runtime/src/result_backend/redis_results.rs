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

/// Limits for connecting and for each answer.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// Limit for one attempt at a whole operation.
const DEADLINE: Duration = Duration::from_secs(6);

/// Limit for the acknowledgement of sent bytes, after which a connection counts as dead.
const DEAD_PEER: Duration = Duration::from_secs(3);

/// Seconds for which results are kept: Celery's `result_expires`, one day.
pub(super) const EXPIRES: u64 = 86_400;

/// A Redis connection that repeats each request until it is answered. A caller that does not want to wait any
/// longer drops the future.
pub(crate) struct RedisResults {
    url: RedisUrl,
    connection: OnceLock<ConnectionManager>,
    persistence: Persistence,
}

/// An answer that will not change: the value under the key is not Celery's.
#[derive(Debug, thiserror::Error)]
#[error("the key in Redis holds a value of another kind")]
pub(super) struct WrongType(#[source] RedisError);

/// The reason why one attempt got no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Redis(RedisError),
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Silent,
}

impl RedisResults {
    /// Creates the client, which connects on first use.
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

    /// Stores the state and result of a task and notifies the clients that wait for it. A success is never
    /// overwritten: anything later, for example from the second run of a lost worker's task, is dropped.
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

    /// Returns the state that is stored for a task.
    pub(super) async fn status(&self, id: &str) -> Option<String> {
        let meta = self.get(&task_key(id)).await?;
        let status = meta.as_dict()?.get("status")?.as_str()?.to_owned();
        Some(status)
    }

    /// Returns the value that is stored for a task, once its state is final.
    pub(super) async fn ready(&self, id: &str) -> Option<Value> {
        let meta = self.get(&task_key(id)).await?;
        let status = meta.as_dict()?.get("status")?.as_str()?;
        matches!(status, "SUCCESS" | "FAILURE" | "REVOKED").then_some(meta)
    }

    /// Returns the value of a key, or `None` if there is none that Celery could have written.
    pub(super) async fn get(&self, key: &str) -> Option<Value> {
        let mut commands = redis::pipe();
        commands.get(key);
        let (found,): (Option<Vec<u8>>,) = self.ask(&commands).await.unwrap_or_default();
        json::parse(&found?).ok()
    }

    /// Repeats the request until there is an answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, WrongType> {
        let attempt = || async {
            let asked = async { commands.query_async(&mut self.connection()?).await };
            match tokio::time::timeout(DEADLINE, asked).await {
                // This is an answer, although one that will not change.
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
            // The caller retries.
            .set_number_of_retries(0);
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(self.connection.get_or_init(|| connection).clone())
    }
}

/// Returns whether the error is `WRONGTYPE`. For an error in a script, older servers mention it only in the text.
fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE") || error.to_string().contains("WRONGTYPE")
}

fn task_key(id: &str) -> String {
    format!("celery-task-meta-{id}")
}
