//! The allow-list in Redis: a set per station, `station:<station>:allowlist`.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisResult};
use service_kit::admin::Part;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use crate::allow_list::{AllowList, Unavailable};

/// For connecting and for each answer.
const TIMEOUT: Duration = Duration::from_millis(900);

/// Between two attempts to connect: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(300));

/// Between a command that found its connection closed and the same command on the next one.
const NEXT_CONNECTION: Duration = Duration::from_millis(10);

/// Between two looks at whether Redis answers.
const CHECK: Duration = Duration::from_secs(1);

/// How long sent bytes may stay unacknowledged before a connection counts as dead.
const DEAD_PEER: Duration = Duration::from_secs(3);

/// Permissions in Redis. Clones share one connection, which comes back by itself.
#[derive(Clone)]
pub struct RedisAllowList {
    connection: ConnectionManager,
    address: String,
}

impl RedisAllowList {
    /// Connects on first use. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If host and port are no address.
    pub fn new(host: &str, port: u16) -> RedisResult<Self> {
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(DEAD_PEER);
        let client = Client::open((host, port).into_connection_info()?.set_tcp_settings(tcp))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT))
            .set_min_delay(RETRY.0)
            .set_max_delay(RETRY.1)
            .set_number_of_retries(usize::MAX);
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self {
            connection,
            address: format!("{host}:{port}"),
        })
    }

    /// Keeps `part` true to whether Redis answers, and says each change in the log once. Never ends.
    pub async fn watch(&self, part: Part) {
        let mut said_down = false;
        loop {
            match self.ping().await {
                Ok(()) => {
                    if part.ready() {
                        info!("Redis at {} answers", self.address);
                    }
                    said_down = false;
                }
                Err(trouble) => {
                    part.not_ready(trouble.as_str());
                    if !said_down {
                        warn!("Redis at {} does not answer, trying on: {trouble}", self.address);
                        said_down = true;
                    }
                }
            }
            sleep(CHECK).await;
        }
    }

    async fn ping(&self) -> Result<(), String> {
        match timeout(
            TIMEOUT,
            redis::cmd("PING").exec_async(&mut self.connection.clone()),
        )
        .await
        {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "no connection or no answer within {} ms",
                TIMEOUT.as_millis()
            )),
        }
    }

    async fn ask<T: FromRedisValue>(
        &self,
        command: &str,
        station: Uuid,
        token: &str,
    ) -> Result<T, Unavailable> {
        let mut cmd = Cmd::new();
        cmd.arg(command)
            .arg(format!("station:{station}:allowlist"))
            .arg(token);
        self.query(&cmd).await.map_err(|error| match error.code() {
            Some("WRONGTYPE") => Unavailable::Damaged(Arc::new(error)),
            _ => Unavailable::Down(Arc::new(error)),
        })
    }

    /// A connection that turns out to be closed, as after a restart of Redis, is no reason to fail:
    /// the command goes to the next one. Whoever awaits this sets the deadline.
    async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        loop {
            match cmd.query_async(&mut self.connection.clone()).await {
                Err(error) if error.is_connection_dropped() => sleep(NEXT_CONNECTION).await,
                answer => return answer,
            }
        }
    }
}

impl AllowList for RedisAllowList {
    async fn contains(&self, station: Uuid, token: &str) -> Result<bool, Unavailable> {
        self.ask("SISMEMBER", station, token).await
    }

    async fn add(&self, station: Uuid, token: &str) -> Result<bool, Unavailable> {
        self.ask("SADD", station, token).await
    }

    async fn remove(&self, station: Uuid, token: &str) -> Result<bool, Unavailable> {
        self.ask("SREM", station, token).await
    }
}
