//! The audit log in Redis: one hash per authorization (behaviour 8).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo as _,
    RedisError, RedisResult,
};
use service_kit::reach::reach;

use super::record::AuditRecord;
use super::sink::{AuditError, AuditSink, Fate, StoreError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes hashes `log:authorize:<start ns>:<station>:<token>` to database 0.
#[derive(Clone)]
pub struct RedisAuditLog {
    client: Client,
    connection: Arc<Mutex<ConnectionManager>>,
    address: String,
}

impl RedisAuditLog {
    /// Creates the sink, which connects on first use and reconnects after a loss. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// If the host and port are not a valid address.
    pub fn new(host: &str, port: u16) -> Result<Self, StoreError> {
        let address = ConnectionAddr::Tcp(host.to_owned(), port);
        let (client, connection) = client(&address).map_err(StoreError::new)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            client,
            address: address.to_string(),
        })
    }

    /// Checks once that Redis answers at this address. The caller sets the timeout.
    ///
    /// # Errors
    ///
    /// If it does not; the error gives the reason.
    pub async fn look(host: &str, port: u16) -> Result<(), StoreError> {
        reach(host, port).await.map_err(StoreError::new)?;
        let asked = async {
            let client = Client::open((host, port))?;
            let unbounded = AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None);
            client
                .get_multiplexed_async_connection_with_config(&unbounded)
                .await?
                .ping()
                .await
        };
        asked.await.map_err(|error: RedisError| StoreError::new(error))
    }

    fn connection(&self) -> ConnectionManager {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns the error of a failed command. After a timeout, the next command gets a new connection: the library
    /// would keep the old one, which never answers again if it was cut silently.
    fn failed(&self, error: RedisError) -> AuditError {
        if error.is_timeout()
            && let Ok(connection) = connect(&self.client)
        {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
        }
        AuditError {
            store: format!("Redis at {}", self.address),
            source: error.into(),
        }
    }
}

fn client(address: &ConnectionAddr) -> RedisResult<(Client, ConnectionManager)> {
    let client = Client::open(address.clone().into_connection_info()?)?;
    let connection = connect(&client)?;
    Ok((client, connection))
}

/// Returns a connection that is opened on first use, and again after it has ended.
fn connect(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        // The writer retries.
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

impl AuditSink for RedisAuditLog {
    async fn check(&self) -> Result<(), AuditError> {
        self.connection().ping().await.map_err(|error| self.failed(error))
    }

    async fn write(&self, records: &[AuditRecord]) -> Result<Vec<Fate>, AuditError> {
        let mut commands = redis::pipe();
        for record in records {
            commands.add_command(hset(record)).ignore();
        }
        let mut connection = self.connection();
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
