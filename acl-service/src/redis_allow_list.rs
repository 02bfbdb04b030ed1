//! The allow-list in Redis: a set per station, `station:<station>:allowlist`.

use std::sync::Arc;
use std::time::Duration;

use explain::explain;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult,
};
use service_kit::reach::reach;
use service_kit::readiness::Part;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use crate::allow_list::{AllowList, Unavailable};

/// The time limit for connecting and for each answer.
const TIMEOUT: Duration = Duration::from_millis(900);

/// The delay between two attempts to connect: the initial and the maximum one.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(300));

/// The delay between a command that found its connection closed and the same command on the next connection.
const NEXT_CONNECTION: Duration = Duration::from_millis(10);

/// The interval between two checks of whether Redis answers.
const CHECK: Duration = Duration::from_secs(1);

/// How long the connection may take to show that it works, before the reason for its failure is looked for.
const AT_ONCE: Duration = Duration::from_millis(300);

/// How long sent bytes may stay unacknowledged before a connection counts as dead.
const DEAD_PEER: Duration = Duration::from_secs(3);

/// Permissions in Redis. Clones share one connection, which is reestablished automatically.
#[derive(Clone)]
pub struct RedisAllowList {
    connection: ConnectionManager,
    host: String,
    port: u16,
}

/// An error: host and port are not a valid Redis address.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {address} as the address of Redis")]
pub struct BadRedisAddress {
    address: String,
    source: RedisError,
}

impl RedisAllowList {
    /// Connects on first use. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If host and port are not a valid address.
    pub fn new(host: &str, port: u16) -> Result<Self, BadRedisAddress> {
        let connection = Self::manager(host, port).map_err(|source| BadRedisAddress {
            address: format!("{host}:{port}"),
            source,
        })?;
        Ok(Self {
            connection,
            host: host.to_owned(),
            port,
        })
    }

    fn manager(host: &str, port: u16) -> RedisResult<ConnectionManager> {
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
        ConnectionManager::new_lazy_with_config(client, config)
    }

    /// Keeps `part` up to date with whether Redis answers, and logs each change once. Never returns.
    pub async fn watch(&self, part: Part) {
        let address = format!("{}:{}", self.host, self.port);
        let mut logged_down = false;
        loop {
            match self.ping().await {
                Ok(()) => {
                    if part.ready() {
                        info!("Redis at {address} answers");
                    }
                    logged_down = false;
                }
                Err(trouble) => {
                    part.not_ready(trouble.as_str());
                    if !logged_down {
                        warn!("Redis at {address} does not answer; retrying until it does: {trouble}");
                        logged_down = true;
                    }
                }
            }
            sleep(CHECK).await;
        }
    }

    /// Checks once whether Redis answers at this address. The caller sets the time limit.
    ///
    /// # Errors
    ///
    /// If it does not; the error is the reason.
    pub async fn look(host: &str, port: u16) -> Result<(), String> {
        reach(host, port).await.map_err(|why| explain(&why))?;
        let asked = async {
            let client = Client::open((host, port))?;
            let unbounded = AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None);
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&unbounded)
                .await?;
            redis::cmd("PING").exec_async(&mut connection).await
        };
        asked.await.map_err(|error: RedisError| explain(&error))
    }

    async fn ping(&self) -> Result<(), String> {
        let (command, mut connection) = (redis::cmd("PING"), self.connection.clone());
        tokio::select! {
            biased;
            answer = timeout(TIMEOUT, command.exec_async(&mut connection)) => match answer {
                Ok(answer) => answer.map_err(|error| explain(&error)),
                Err(_) => Err(format!("no connection or answer within {} ms", TIMEOUT.as_millis())),
            },
            why = self.unreachable() => Err(why),
        }
    }

    /// Returns why there is no connection, as soon as that is known. The library retries forever and does not report
    /// the reason.
    async fn unreachable(&self) -> String {
        sleep(AT_ONCE).await;
        match reach(&self.host, self.port).await {
            Ok(_connection) => std::future::pending().await,
            Err(why) => explain(&why),
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

    /// Runs a command. If its connection turns out to be closed, as after a restart of Redis, the command does not fail
    /// but goes to the next connection. The caller sets the time limit.
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
