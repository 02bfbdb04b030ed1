//! Declarations of exchanges, queues and bindings.

use celery_protocol::FieldTable;
use explain::explain;
use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use crate::amqp::connection::{BrokerError, open_channel, short};
use crate::amqp::fields;
use crate::amqp::queue::{ExchangeType, Queue};

/// One operation. Everything is declared as durable and without auto-delete, as kombu does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Declaration {
    Exchange {
        name: String,
        kind: ExchangeType,
    },
    Queue {
        name: String,
        arguments: FieldTable,
    },
    QueueBinding {
        queue: String,
        exchange: String,
        routing_key: String,
    },
    ExchangeBinding {
        destination: String,
        source: String,
        routing_key: String,
    },
}

/// Makes the declarations in order and returns a usable channel.
///
/// An existing queue or exchange with other attributes is used as it is: Python deployments use priorities, quorum
/// queues and TTLs, and a drop-in replacement must not fail with a 406 there.
pub(crate) async fn declare(
    connection: &Connection,
    mut channel: Channel,
    declarations: &[Declaration],
) -> Result<Channel, BrokerError> {
    for declaration in declarations {
        match declaration.make(&channel).await? {
            Ok(()) => {}
            Err(error)
                if declaration.can_exist_otherwise() && is(&error, AMQPSoftError::PRECONDITIONFAILED) =>
            {
                tracing::warn!(
                    "{} exists with other attributes and is used as it is: {}",
                    declaration.shown(),
                    explain(&error)
                );
                channel = open_channel(connection).await?;
            }
            Err(source) => {
                return Err(BrokerError::refused(format!("declare {}", declaration.shown()))(
                    source,
                ));
            }
        }
    }
    Ok(channel)
}

/// Returns whether the exchange exists.
pub(crate) async fn exchange_exists(connection: &Connection, name: &str) -> Result<bool, BrokerError> {
    let channel = open_channel(connection).await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel
        .exchange_declare(
            short(name)?,
            ExchangeKind::Direct,
            options,
            fields::no_arguments(),
        )
        .await;
    match declared {
        Ok(()) => {
            let _already_closed = channel.close(200, "goodbye".into()).await;
            Ok(true)
        }
        Err(error) if is(&error, AMQPSoftError::NOTFOUND) => Ok(false),
        // It exists with another type.
        Err(error) if is(&error, AMQPSoftError::PRECONDITIONFAILED) => Ok(true),
        Err(error) => Err(BrokerError::refused(format!("check exchange {name}"))(error)),
    }
}

/// Returns whether the queue exists. It is neither created nor changed.
pub(crate) async fn queue_exists(connection: &Connection, name: &str) -> Result<bool, BrokerError> {
    let channel = open_channel(connection).await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    match channel
        .queue_declare(short(name)?, options, fields::no_arguments())
        .await
    {
        Ok(_queue) => {
            let _already_closed = channel.close(200, "goodbye".into()).await;
            Ok(true)
        }
        // This error ends the channel.
        Err(error) if is(&error, AMQPSoftError::NOTFOUND) => Ok(false),
        Err(error) => Err(BrokerError::refused(format!("check queue {name}"))(error)),
    }
}

/// Returns the number of messages in the queue that wait for delivery.
pub(crate) async fn ready_messages(channel: &Channel, queue: &str) -> Result<u32, BrokerError> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(short(queue)?, options, fields::no_arguments())
        .await
        .map_err(BrokerError::refused(format!("check queue {queue}")))?;
    Ok(declared.message_count())
}

impl Declaration {
    /// Returns the declarations for a queue: exchange, queue and binding, in kombu's order.
    pub(crate) fn of(queue: &Queue) -> Vec<Self> {
        let own = Self::Queue {
            name: queue.name.clone(),
            arguments: queue.arguments.clone(),
        };
        if queue.exchange.is_empty() {
            return vec![own];
        }
        vec![
            Self::Exchange {
                name: queue.exchange.clone(),
                kind: queue.exchange_type,
            },
            own,
            Self::QueueBinding {
                queue: queue.name.clone(),
                exchange: queue.exchange.clone(),
                routing_key: queue.routing_key.clone(),
            },
        ]
    }

    async fn make(&self, channel: &Channel) -> Result<lapin::Result<()>, BrokerError> {
        Ok(match self {
            Self::Exchange { name, kind } => {
                let options = ExchangeDeclareOptions {
                    durable: true,
                    ..ExchangeDeclareOptions::default()
                };
                channel
                    .exchange_declare(short(name)?, kind_of(*kind), options, fields::no_arguments())
                    .await
            }
            Self::Queue { name, arguments } => {
                let options = QueueDeclareOptions {
                    durable: true,
                    ..QueueDeclareOptions::default()
                };
                let arguments =
                    fields::table_of(arguments).map_err(|_| BrokerError::NameTooLong(name.clone()))?;
                channel
                    .queue_declare(short(name)?, options, arguments)
                    .await
                    .map(drop)
            }
            Self::QueueBinding {
                queue,
                exchange,
                routing_key,
            } => {
                channel
                    .queue_bind(
                        short(queue)?,
                        short(exchange)?,
                        short(routing_key)?,
                        QueueBindOptions::default(),
                        fields::no_arguments(),
                    )
                    .await
            }
            Self::ExchangeBinding {
                destination,
                source,
                routing_key,
            } => {
                channel
                    .exchange_bind(
                        short(destination)?,
                        short(source)?,
                        short(routing_key)?,
                        ExchangeBindOptions::default(),
                        fields::no_arguments(),
                    )
                    .await
            }
        })
    }

    fn can_exist_otherwise(&self) -> bool {
        matches!(self, Self::Exchange { .. } | Self::Queue { .. })
    }

    fn shown(&self) -> String {
        match self {
            Self::Exchange { name, .. } => format!("exchange {name}"),
            Self::Queue { name, .. } => format!("queue {name}"),
            Self::QueueBinding { queue, exchange, .. } => {
                format!("binding of queue {queue} to exchange {exchange}")
            }
            Self::ExchangeBinding {
                destination, source, ..
            } => format!("binding of exchange {destination} to exchange {source}"),
        }
    }
}

fn kind_of(kind: ExchangeType) -> ExchangeKind {
    match kind {
        ExchangeType::Direct => ExchangeKind::Direct,
        ExchangeType::Topic => ExchangeKind::Topic,
        ExchangeType::Fanout => ExchangeKind::Fanout,
        ExchangeType::Headers => ExchangeKind::Headers,
    }
}

fn is(error: &lapin::Error, kind: AMQPSoftError) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(kind))
}
