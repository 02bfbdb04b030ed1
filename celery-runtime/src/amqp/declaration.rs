//! What the broker is told to have: exchanges, queues and bindings.

use celery_protocol::FieldTable;
use explain::explain;
use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use crate::amqp::connection::{BrokerError, open_channel, short};
use crate::amqp::fields;
use crate::amqp::queue::{ExchangeType, Queue};

/// One operation. Everything is durable and not deleted by itself, as kombu declares it.
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

/// Declares in order and answers with a channel that can be used.
///
/// A queue or exchange that exists with other attributes is used as it is: Python stacks run with priorities,
/// quorum queues and TTLs, and a drop-in that dies of a 406 is none.
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

/// Whether there is such an exchange.
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
        // It exists and is of another kind.
        Err(error) if is(&error, AMQPSoftError::PRECONDITIONFAILED) => Ok(true),
        Err(error) => Err(BrokerError::refused(format!("look for exchange {name}"))(error)),
    }
}

/// Whether there is such a queue. It is neither made nor changed.
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
        // It ends the channel.
        Err(error) if is(&error, AMQPSoftError::NOTFOUND) => Ok(false),
        Err(error) => Err(BrokerError::refused(format!("look at queue {name}"))(error)),
    }
}

/// How many messages of a queue wait to be delivered.
pub(crate) async fn ready_messages(channel: &Channel, queue: &str) -> Result<u32, BrokerError> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(short(queue)?, options, fields::no_arguments())
        .await
        .map_err(BrokerError::refused(format!("look at queue {queue}")))?;
    Ok(declared.message_count())
}

impl Declaration {
    /// What makes up a queue: exchange, queue and binding, in kombu's order.
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
