//! Results in Redis, under Celery's keys (`celery/backends/redis.py`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use celery_protocol::{Value, json};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, FromRedisValue, Pipeline, RedisError, RedisResult};

use super::redis_url::RedisUrl;

/// How long connecting and each answer may take.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// For one attempt at a whole operation.
const DEADLINE: Duration = Duration::from_secs(6);

/// How long sent bytes may stay unacknowledged before a connection counts as dead.
const DEAD_PEER: Duration = Duration::from_secs(3);

/// Between two attempts: at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long results are kept: Celery's `result_expires`, one day.
pub(super) const EXPIRES: u64 = 86_400;

/// A Redis that is asked until it answers: whoever does not want to wait any longer drops the future. Trouble is said
/// once, and its end once.
pub(crate) struct RedisResults {
    url: RedisUrl,
    connection: OnceLock<ConnectionManager>,
    in_trouble: AtomicBool,
}

/// The server has an answer that will not change: what stands under the key is not Celery's.
#[derive(Debug, thiserror::Error)]
#[error("Redis has something else under the key")]
pub(super) struct WrongType(#[source] RedisError);

impl RedisResults {
    /// Connects on first use.
    pub(crate) fn new(url: RedisUrl) -> Self {
        Self {
            url,
            connection: OnceLock::new(),
            in_trouble: AtomicBool::new(false),
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
            tracing::error!("the result of task {id} is lost: {error}");
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
        let mut wait = WAIT.0;
        loop {
            let attempt = async { commands.query_async(&mut self.connection()?).await };
            let trouble = match tokio::time::timeout(DEADLINE, attempt).await {
                Ok(Ok(answer)) => {
                    self.answered();
                    return Ok(answer);
                }
                Ok(Err(error)) if is_wrong_type(&error) => return Err(WrongType(error)),
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => format!("no answer within {} s", DEADLINE.as_secs()),
            };
            self.say(&trouble);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT.1);
        }
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

    fn say(&self, trouble: &str) {
        if !self.in_trouble.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "results cannot be stored in {}: {trouble}. Trying on; messages stay unacked until it answers",
                self.url
            );
        }
    }

    fn answered(&self) {
        if self.in_trouble.swap(false, Ordering::Relaxed) {
            tracing::info!("results are stored in {} again", self.url);
        }
    }
}

/// Older servers tell it only in the text of a script's error.
fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE") || error.to_string().contains("WRONGTYPE")
}

fn task_key(id: &str) -> String {
    format!("celery-task-meta-{id}")
}
