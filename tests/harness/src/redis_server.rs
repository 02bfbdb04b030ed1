//! A private Redis server.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client, Cmd, FromRedisValue, cmd};

use crate::eventually::eventually;
use crate::guard::Scratch;
use crate::port::free_port;
use crate::process::{Process, Signal};

/// The time limit for the server to start or end, and for each of its answers: the client's own limit of half a second is
/// too short on a busy machine.
const WAIT: Duration = Duration::from_mins(1);

/// A Redis server for one test, on the loopback address.
#[derive(Debug)]
pub struct Redis {
    server: Option<Process>,
    port: u16,
    durable: bool,
    directory: Scratch,
}

/// An audit record: a hash `log:authorize:<start, ns>:<station>:<token>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditRecord {
    /// The key of the hash.
    pub key: String,
    /// The fields of the hash.
    pub fields: BTreeMap<String, String>,
}

/// Finds the keys of audit records.
#[derive(Debug, Clone)]
pub struct AuditKeys(Client);

impl AuditKeys {
    /// All keys, or `None` if the server does not answer within two seconds.
    pub async fn list(&self) -> Option<Vec<String>> {
        self.ask(cmd("KEYS").arg("log:authorize:*")).await
    }

    /// The number of keys of any kind, or `None` as above.
    pub async fn count(&self) -> Option<usize> {
        self.ask(&cmd("DBSIZE")).await
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let limit = Duration::from_secs(2);
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(limit));
        let answer = async {
            let connection = self.0.get_multiplexed_async_connection_with_config(&config).await;
            command.query_async(&mut connection.ok()?).await.ok()
        };
        tokio::time::timeout(limit, answer).await.ok().flatten()
    }
}

impl AuditRecord {
    /// The value of a field; empty if there is no such field.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

impl Redis {
    /// Starts a server that keeps nothing on disk, and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_with(false).await
    }

    /// Starts a server that persists every write, so that the data is still there after [`Redis::start_again`].
    pub async fn start_durable() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(durable: bool) -> Self {
        let mut redis = Self {
            server: None,
            port: free_port(),
            durable,
            directory: Scratch::new(),
        };
        redis.start_again().await;
        redis
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `REDIS_HOST` and `REDIS_PORT` for a service.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("REDIS_HOST", "127.0.0.1".to_owned()),
            ("REDIS_PORT", self.port.to_string()),
        ]
    }

    /// A client for the server.
    pub fn client(&self) -> Client {
        Client::open(("127.0.0.1", self.port)).unwrap_or_else(|error| panic!("no Redis address: {error}"))
    }

    /// A connection to the server; panics if the server does not respond.
    pub async fn connection(&self) -> MultiplexedConnection {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(WAIT))
            .set_response_timeout(Some(WAIT));
        let client = self.client();
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        connection.unwrap_or_else(|error| panic!("cannot connect to Redis on port {}: {error}", self.port))
    }

    /// The text stored under this key.
    pub async fn get(&self, key: &str) -> Option<String> {
        command(self.connection().await.get(key).await)
    }

    /// Every audit record, ordered by start time.
    pub async fn audit_records(&self) -> Vec<AuditRecord> {
        let mut connection = self.connection().await;
        let keys: Vec<String> = command(connection.keys("log:authorize:*").await);
        let mut records = Vec::with_capacity(keys.len());
        for key in keys {
            let fields = command(connection.hgetall(&key).await);
            records.push(AuditRecord { key, fields });
        }
        records.sort();
        records
    }

    /// A finder for the keys of audit records, which remains usable while the server is unavailable.
    pub fn audit_keys(&self) -> AuditKeys {
        AuditKeys(self.client())
    }

    /// Shuts the server down cleanly.
    pub async fn stop(&mut self) {
        let server = self.take();
        server.signal(Signal::TERM);
        server.wait_exit(WAIT).await;
    }

    /// Kills the server immediately.
    pub fn kill(&mut self) {
        self.take().kill();
    }

    /// Suspends the server; its connections stay open and silent, and the system accepts new ones.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// Resumes the server after [`Redis::freeze`].
    pub fn thaw(&self) {
        self.running().thaw();
    }

    /// Starts the server after it was stopped or killed, on the same port, and waits until it is ready.
    pub async fn start_again(&mut self) {
        assert!(self.server.is_none(), "Redis is running");
        let port = self.port.to_string();
        let directory = self.directory.path().display().to_string();
        let appendonly = if self.durable { "yes" } else { "no" };
        let arguments = [
            ["--port", &port],
            ["--bind", "127.0.0.1"],
            ["--dir", &directory],
            ["--save", ""],
            ["--appendonly", appendonly],
            ["--appendfsync", "always"],
        ];
        let server = Process::spawn("redis-server", arguments.concat(), [("", ""); 0]);
        let client = self.client();
        eventually("Redis to serve", WAIT, || async {
            assert!(server.try_exit().is_none(), "Redis ended:\n{}", server.tail());
            let mut connection = client
                .get_multiplexed_async_connection()
                .await
                .map_err(|error| error.to_string())?;
            connection
                .ping::<String>()
                .await
                .map_err(|error| error.to_string())
        })
        .await;
        self.server = Some(server);
    }

    fn running(&self) -> &Process {
        let Some(server) = &self.server else {
            panic!("Redis is not running")
        };
        server
    }

    fn take(&mut self) -> Process {
        let Some(server) = self.server.take() else {
            panic!("Redis is not running")
        };
        server
    }
}

fn command<T>(result: redis::RedisResult<T>) -> T {
    result.unwrap_or_else(|error| panic!("Redis: {error}"))
}
