//! The audit log in Redis: one hash per authorization (behaviour 8).

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, Cmd, ConnectionAddr, IntoConnectionInfo as _, RedisResult};

use super::{AuditError, AuditRecord, AuditSink, Fate};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes hashes `log:authorize:<start ns>:<station>:<token>` to database 0.
#[derive(Clone)]
pub struct RedisAuditLog {
    connection: ConnectionManager,
    address: String,
}

impl RedisAuditLog {
    /// Connects on first use, and again by itself after a loss. Must be called within a tokio runtime.
    pub fn new(host: &str, port: u16) -> RedisResult<Self> {
        let address = ConnectionAddr::Tcp(host.to_owned(), port);
        let client = Client::open(address.clone().into_connection_info()?)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            // Whoever writes tries again.
            .set_number_of_retries(0);
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self {
            connection,
            address: address.to_string(),
        })
    }

    fn failed(&self, error: redis::RedisError) -> AuditError {
        AuditError {
            store: format!("Redis at {}", self.address),
            source: error.into(),
        }
    }
}

impl AuditSink for RedisAuditLog {
    async fn check(&self) -> Result<(), AuditError> {
        self.connection
            .clone()
            .ping()
            .await
            .map_err(|error| self.failed(error))
    }

    async fn write(&self, records: &[AuditRecord]) -> Result<Vec<Fate>, AuditError> {
        let mut commands = redis::pipe();
        for record in records {
            commands.add_command(hset(record)).ignore();
        }
        let mut connection = self.connection.clone();
        let written: RedisResult<()> = commands.query_async(&mut connection).await;
        written.map_err(|error| self.failed(error))?;
        Ok(vec![Fate::Written; records.len()])
    }
}

fn hset(record: &AuditRecord) -> Cmd {
    let AuditRecord {
        start_time_ns,
        station_id,
        driver_token,
        ..
    } = record;
    let fields = [
        ("station_id", station_id.as_str()),
        ("driver_token", driver_token),
        ("status", record.status.as_str()),
        ("callback_status", &record.callback_status),
        ("callback_url", &record.callback_url),
    ];
    let mut command = redis::cmd("HSET");
    command
        .arg(format!(
            "log:authorize:{start_time_ns}:{station_id}:{driver_token}"
        ))
        .arg(&fields);
    command
}
