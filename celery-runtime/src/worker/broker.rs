//! One connection's worth of consuming: connection, channel, QoS, declared queues and their consumers.

use std::sync::Arc;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};

use super::WorkerConfig;
use super::delivery::Delivery;
use crate::amqp;
use crate::connection::{self, BrokerError};
use crate::declaration;
use crate::delayed_delivery;

/// What comes in over a link.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message.
    Message(Delivery, Box<celery_protocol::Message>),
    /// The consumer of this generation ended, with the reason where there is one: the connection was lost, or
    /// the broker cancelled the consumer.
    Ended(u64, String),
}

/// A live connection that consumes. Dropped, or lost, it leaves everything unsettled to redelivery.
///
/// QoS is per consumer (`global=false`) always: quorum queues and RabbitMQ 4 refuse the other kind, and a value
/// raised later does not act on a running consumer (contract B.5). So where ETA messages fill the window, the
/// link consumes anew: messages of a cancelled consumer no longer count, and the new one has a whole window.
pub(crate) struct Link {
    connection: Connection,
    channel: Channel,
    arrivals: SelectAll<BoxStream<'static, Incoming>>,
    consumer: u64,
    tags: Vec<String>,
    observer: Observer,
    /// What consumers are asked for with; see [`always_cancelled`].
    arguments: FieldTable,
}

/// Looks at a link's queues, on a channel of its own: what goes wrong there does not end the consumers'.
#[derive(Debug, Clone)]
pub(crate) struct Observer {
    channel: Channel,
    queues: Arc<[String]>,
}

/// Counts consumers over the life of the process: tags are `None1`, `None2`, … as Celery's are (contract B.3).
#[derive(Debug, Default)]
pub(crate) struct TagCounter(u64);

impl TagCounter {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("None{}", self.0)
    }
}

impl Link {
    /// Connects, declares and consumes: contract B.3, steps 1, 3 and 7.
    pub(crate) async fn open(
        config: &WorkerConfig,
        attempt: usize,
        tags: &mut TagCounter,
    ) -> Result<Self, BrokerError> {
        let connection = connection::connect(&config.broker, attempt, &config.nodename).await?;
        tracing::info!("Connected to {}", config.broker.shown(attempt));
        let mut channel = connection::open_channel(&connection).await?;
        for queue in config.task_queues() {
            channel = declaration::declare(&connection, channel, &queue.declarations()).await?;
        }
        if config.routes().has_quorum_queue() {
            tracing::info!("Global QoS is disabled. Prefetch count is now static.");
            set_up_delayed_delivery(config, attempt).await;
        }
        let mut link = Self {
            observer: Observer {
                channel: connection::open_channel(&connection).await?,
                queues: config.queues.clone().into(),
            },
            connection,
            channel,
            arrivals: SelectAll::new(),
            consumer: 0,
            tags: Vec::new(),
            arguments: always_cancelled(),
        };
        if config.routes().has_quorum_queue() {
            link.arguments = FieldTable::default();
        } else if link.consume(config, tags).await.is_ok() {
            return Ok(link);
        } else if !link.channel.status().connected() && link.connection.status().connected() {
            // Quorum queues that nobody told us of refuse the argument, which ends the channel.
            link.channel = connection::open_channel(&link.connection).await?;
            link.arrivals.clear();
            link.tags.clear();
            link.arguments = FieldTable::default();
        }
        link.consume(config, tags).await?;
        Ok(link)
    }

    /// Empties the queues before anything is consumed; how many messages went (contract B.4, `--purge`).
    pub(crate) async fn purge(config: &WorkerConfig) -> Result<u32, BrokerError> {
        let connection = connection::connect(&config.broker, 0, &config.nodename).await?;
        let mut channel = connection::open_channel(&connection).await?;
        let mut purged = 0;
        for queue in config.task_queues() {
            channel = declaration::declare(&connection, channel, &queue.declarations()).await?;
            purged += channel
                .queue_purge(connection::short(&queue.name)?, QueuePurgeOptions::default())
                .await
                .map_err(BrokerError::refused(format!("purge queue {}", queue.name)))?;
        }
        connection::close(&connection, "purged").await;
        Ok(purged)
    }

    /// Starts a consumer per queue, each with a window of its own.
    async fn consume(&mut self, config: &WorkerConfig, tags: &mut TagCounter) -> Result<(), BrokerError> {
        self.channel
            .basic_qos(config.prefetch_count(), BasicQosOptions { global: false })
            .await
            .map_err(BrokerError::refused("set the prefetch count"))?;
        self.consumer += 1;
        for queue in &config.queues {
            let tag = tags.next();
            let consumer = self
                .channel
                .basic_consume(
                    connection::short(queue)?,
                    connection::short(&tag)?,
                    BasicConsumeOptions::default(),
                    self.arguments.clone(),
                )
                .await
                .map_err(BrokerError::refused(format!("consume from queue {queue}")))?;
            self.tags.push(tag);
            self.arrivals.push(arrivals(consumer, self.consumer));
        }
        Ok(())
    }

    /// Consumes anew with a fresh window; what the old consumers have in flight still comes.
    pub(crate) async fn consume_anew(
        &mut self,
        config: &WorkerConfig,
        tags: &mut TagCounter,
    ) -> Result<(), BrokerError> {
        let old = std::mem::take(&mut self.tags);
        self.consume(config, tags).await?;
        cancel(&self.channel, old).await
    }

    /// Takes nothing more from the broker.
    pub(crate) async fn cancel_consumers(&mut self) -> Result<(), BrokerError> {
        let tags = std::mem::take(&mut self.tags);
        cancel(&self.channel, tags).await?;
        self.arrivals.clear();
        Ok(())
    }

    /// The next message, or the end of a consumer that still mattered.
    pub(crate) async fn next(&mut self) -> Incoming {
        match self.arrivals.next().await {
            Some(incoming) => incoming,
            None => std::future::pending().await,
        }
    }

    /// Looks at its queues.
    pub(crate) fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// The generation of consumers that messages come by now.
    pub(crate) fn consumer(&self) -> u64 {
        self.consumer
    }

    /// Closes channel and connection; what is not settled returns to its queue.
    pub(crate) async fn close(self) {
        connection::close(&self.connection, "goodbye").await;
    }
}

impl Observer {
    /// How many messages are ready in all the queues, or why the broker does not say.
    pub(crate) async fn ready_messages(&self) -> Result<u32, String> {
        let mut ready: u32 = 0;
        for queue in &*self.queues {
            let count = declaration::ready_messages(&self.channel, queue).await;
            ready = ready.saturating_add(count.map_err(|error| error.explained())?);
        }
        Ok(ready)
    }
}

/// On a connection of its own, as Celery does. Where it fails the worker works without it: who sends to the worker
/// has to cope, and ETA messages that come all the same are held here (contract E.4).
async fn set_up_delayed_delivery(config: &WorkerConfig, attempt: usize) {
    let set_up = async {
        let connection = connection::connect(&config.broker, attempt, &config.nodename).await?;
        let channel = connection::open_channel(&connection).await?;
        let mut declarations = delayed_delivery::declarations();
        for queue in config.all_queues() {
            declarations.extend(delayed_delivery::bindings(&queue));
        }
        let declared = declaration::declare(&connection, channel, &declarations).await;
        connection::close(&connection, "declared").await;
        declared
    };
    if let Err(error) = set_up.await {
        tracing::warn!(
            "Failed to setup delayed delivery for '{}': {}",
            config.broker.shown(attempt),
            error.explained()
        );
    }
}

/// When a queue goes away, RabbitMQ cancels its consumers, unless a queue of the same name is there by then, such as one
/// that a producer has just declared anew: that one it consumes from instead, without a word, and then delivers nothing
/// (seen with 3.10). This argument has it cancel always.
fn always_cancelled() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-cancel-on-ha-failover".into(), AMQPValue::Boolean(true));
    arguments
}

fn arrivals(consumer: lapin::Consumer, generation: u64) -> BoxStream<'static, Incoming> {
    let queue = consumer.queue();
    let cancelled = Incoming::Ended(
        generation,
        format!("the broker cancelled the consumer of queue {queue}"),
    );
    consumer
        .map(move |arrival| match arrival {
            Ok(mut delivery) => {
                let body = std::mem::take(&mut delivery.data);
                let message = amqp::message_from(&delivery.properties, body);
                Incoming::Message(Delivery::new(&delivery, generation), Box::new(message))
            }
            Err(error) => Incoming::Ended(generation, error.to_string()),
        })
        .chain(async { cancelled }.into_stream())
        .boxed()
}

async fn cancel(channel: &Channel, tags: Vec<String>) -> Result<(), BrokerError> {
    for tag in tags {
        channel
            .basic_cancel(connection::short(&tag)?, BasicCancelOptions::default())
            .await
            .map_err(BrokerError::refused(format!("cancel consumer {tag}")))?;
    }
    Ok(())
}
