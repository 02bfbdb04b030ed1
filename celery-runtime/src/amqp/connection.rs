//! Connections and channels (contract B.2).

use std::time::Duration;

use explain::explain;
use lapin::types::{LongString, ShortString};
use lapin::{Channel, Connection, ConnectionProperties};

use crate::amqp::broker_url::BrokerUrl;

/// Limit for dialling, TLS and login together, after which the attempt counts as failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Longest wait between two attempts to reach the broker. Celery waits up to 30 s (contract E.5); a broker that is
/// back should not stay idle for half a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Limit for closing a connection. A broken link that swallows bytes never answers the close.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// An error that RabbitMQ, the socket or the AMQP client reports.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct AmqpError(lapin::Error);

/// An error between this program and its broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The broker cannot be reached, refuses the login, or ended the connection.
    #[error("cannot connect to {url}")]
    Connect {
        /// The broker's address, without the password.
        url: String,
        /// The error of the socket or the broker.
        #[source]
        source: AmqpError,
    },
    /// The connection was not ready within its time.
    #[error("cannot connect to {url}: no answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout {
        /// The broker's address, without the password.
        url: String,
    },
    /// The broker refused an operation.
    #[error("the broker refused to {operation}")]
    Refused {
        /// The operation and its object.
        operation: String,
        /// The broker's error.
        #[source]
        source: AmqpError,
    },
    /// A name is longer than the 255 bytes that AMQP allows.
    #[error("the name `{0}` is longer than the 255 bytes that AMQP allows")]
    NameTooLong(String),
    /// A property of a message is longer than the 255 bytes that AMQP allows.
    #[error("a property is longer than the 255 bytes that AMQP allows")]
    PropertyTooLong,
    /// The broker did not answer in time.
    #[error("the broker did not {operation} within {} s", .limit.as_secs())]
    Silent {
        /// The operation and its object.
        operation: String,
        /// The time limit that passed.
        limit: Duration,
    },
}

impl AmqpError {
    pub(crate) fn new(error: lapin::Error) -> Self {
        Self(error)
    }
}

impl BrokerError {
    pub(crate) fn refused(operation: impl Into<String>) -> impl FnOnce(lapin::Error) -> Self {
        let operation = operation.into();
        move |source| Self::Refused {
            operation,
            source: AmqpError(source),
        }
    }

    /// Returns the cause and its remedy, for a text that has already named the broker.
    pub fn reason(&self) -> String {
        match self {
            Self::Connect { source, .. } if is_refused_login(source) => {
                "RabbitMQ refuses the login; check user, password and the user's permissions".to_owned()
            }
            Self::Connect { source, .. } => source.to_string().trim_end_matches('.').to_owned(),
            Self::Timeout { .. } => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            _ => explain(self),
        }
    }
}

/// Returns whether the error is `ACCESS_REFUSED`: a wrong user or password, or a virtual host that the user may not
/// access.
fn is_refused_login(AmqpError(error): &AmqpError) -> bool {
    matches!(
        error.kind(),
        lapin::ErrorKind::ProtocolError(error) if error.kind() == &lapin::protocol::AMQPErrorKind::Soft(lapin::protocol::AMQPSoftError::ACCESSREFUSED)
    )
}

/// Returns the wait before the `attempt`th retry, counted from 1: 1, 2, 3 … seconds up to [`LONGEST_WAIT`].
pub(crate) fn retry_wait(attempt: usize) -> Duration {
    Duration::from_secs(u64::try_from(attempt).unwrap_or(u64::MAX)).min(LONGEST_WAIT)
}

/// Dials the `attempt`th alternative of `url`. `name` is shown as the connection's name in the broker's management.
pub(crate) async fn connect(url: &BrokerUrl, attempt: usize, name: &str) -> Result<Connection, BrokerError> {
    let properties = ConnectionProperties::default()
        .with_client_property("product".into(), LongString::from(env!("CARGO_PKG_NAME")))
        .with_client_property(
            "product_version".into(),
            LongString::from(env!("CARGO_PKG_VERSION")),
        )
        .with_connection_name(LongString::from(name));
    match tokio::time::timeout(
        CONNECT_TIMEOUT,
        Connection::connect_uri(url.amqp_uri(attempt), properties),
    )
    .await
    {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(source)) => Err(BrokerError::Connect {
            url: url.shown(attempt),
            source: AmqpError(source),
        }),
        Err(_elapsed) => Err(BrokerError::Timeout {
            url: url.shown(attempt),
        }),
    }
}

/// Closes the connection, channels included, but does not wait for a broker that no longer answers.
pub(crate) async fn close(connection: &Connection, why: &'static str) {
    close_within(CLOSE_TIMEOUT, connection, why).await;
}

/// Closes the connection as [`close`] does, but waits no longer than `limit`.
pub(crate) async fn close_within(limit: Duration, connection: &Connection, why: &'static str) {
    let _gone = tokio::time::timeout(limit, connection.close(200, why.into())).await;
}

/// Opens a channel.
pub(crate) async fn open_channel(connection: &Connection) -> Result<Channel, BrokerError> {
    connection
        .create_channel()
        .await
        .map_err(BrokerError::refused("open a channel"))
}

/// Converts a name to an AMQP short string.
pub(crate) fn short(name: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(name).map_err(|_| BrokerError::NameTooLong(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_short() {
        let waits: Vec<u64> = (1..=6).map(|attempt| retry_wait(attempt).as_secs()).collect();
        assert_eq!(waits, [1, 2, 3, 4, 4, 4]);
    }
}
