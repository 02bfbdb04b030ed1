//! One connection for consuming: connection, channel, QoS, declared queues and their consumers.

use std::sync::Arc;
use std::time::Duration;

use explain::explain;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use lapin::options::QueuePurgeOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};

use super::arrivals::{self, Arrival, Arrivals, Subscription, TagCounter};
use super::config::WorkerConfig;
use super::delivery::Delivery;
use super::observer::Observer;
use crate::amqp::connection::{self, BrokerError};
use crate::amqp::declaration::{self, Declaration};
use crate::amqp::delayed_delivery;
use crate::amqp::queue::Queue;

/// Limit for replacing consumers, after which the link counts as lost.
const RENEWAL: Duration = Duration::from_secs(10);

/// An event of a link.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "moved once on its way to the strategy; a box would cost more"
)]
pub(crate) enum LinkEvent {
    /// A message.
    Message(Delivery, celery_protocol::Message),
    /// Consumers of a new generation have replaced the others.
    Renewed(u64),
    /// The link can no longer be used: the connection was lost, the broker cancelled a consumer, or did not replace it.
    Lost(String),
}

/// A live connection that consumes. If it is dropped or lost, all unsettled messages are redelivered.
///
/// QoS is always per consumer (`global=false`): quorum queues and RabbitMQ 4 refuse the other kind. Messages of a
/// cancelled consumer no longer count, and a new consumer has a whole window; see [`super::qos::Qos`].
pub(crate) struct Link {
    connection: Connection,
    channel: Channel,
    queues: Arc<[String]>,
    arrivals: Arrivals,
    generation: u64,
    /// The consumers of the last generation, preceded by those that are being replaced.
    subscriptions: Vec<Subscription>,
    /// The arguments for consumers; see [`always_cancelled`].
    arguments: FieldTable,
    renewal: Option<BoxFuture<'static, Renewal>>,
    observer: Observer,
}

type Renewal = Result<Vec<BoxStream<'static, Arrival>>, BrokerError>;

impl Link {
    /// Connects, declares `queues` and consumes from them: contract B.3, steps 1, 3 and 7. `window` is the prefetch count.
    pub(crate) async fn open(
        config: &WorkerConfig,
        queues: &[Queue],
        attempt: usize,
        window: u16,
        tags: &mut TagCounter,
    ) -> Result<Self, BrokerError> {
        let connection = connection::connect(&config.broker, attempt, &config.nodename).await?;
        tracing::info!("Connected to {}", config.broker.shown(attempt));
        let mut channel = connection::open_channel(&connection).await?;
        for queue in queues {
            channel = declaration::declare(&connection, channel, &Declaration::of(queue)).await?;
        }
        if config.routes().has_quorum_queue() {
            tracing::info!("Global QoS is disabled. Prefetch count is now static.");
            set_up_delayed_delivery(config, attempt).await;
        }
        let queues: Arc<[String]> = queues.iter().map(|queue| queue.name.clone()).collect();
        let mut link = Self {
            observer: Observer::new(connection::open_channel(&connection).await?, Arc::clone(&queues)),
            connection,
            channel,
            queues,
            arrivals: Arrivals::new(),
            generation: 0,
            subscriptions: Vec::new(),
            arguments: always_cancelled(),
            renewal: None,
        };
        if config.routes().has_quorum_queue() {
            link.arguments = FieldTable::default();
        } else if link.consume(window, tags).await.is_ok() {
            return Ok(link);
        } else if !link.channel.status().connected() && link.connection.status().connected() {
            // Quorum queues that are not configured as such refuse the argument, which ends the channel.
            link.channel = connection::open_channel(&link.connection).await?;
            link.arguments = FieldTable::default();
        }
        link.consume(window, tags).await?;
        Ok(link)
    }

    /// Empties the queues before anything is consumed, and returns how many messages were erased (contract B.4,
    /// `--purge`).
    pub(crate) async fn purge(config: &WorkerConfig) -> Result<u32, BrokerError> {
        let connection = connection::connect(&config.broker, 0, &config.nodename).await?;
        let mut channel = connection::open_channel(&connection).await?;
        let mut purged = 0;
        for queue in config.task_queues() {
            channel = declaration::declare(&connection, channel, &Declaration::of(&queue)).await?;
            purged += channel
                .queue_purge(connection::short(&queue.name)?, QueuePurgeOptions::default())
                .await
                .map_err(BrokerError::refused(format!("purge queue {}", queue.name)))?;
        }
        connection::close(&connection, "purged").await;
        Ok(purged)
    }

    async fn consume(&mut self, window: u16, tags: &mut TagCounter) -> Result<(), BrokerError> {
        self.generation += 1;
        self.subscriptions = self.next_subscriptions(tags);
        let streams = arrivals::consume(
            &self.channel,
            window,
            self.generation,
            &self.subscriptions,
            &self.arguments,
        );
        self.arrivals = streams.await?.into_iter().collect();
        Ok(())
    }

    /// Replaces the consumers with ones that have an empty window; messages in flight to the old ones still arrive.
    /// [`next`](Self::next) does the work and reports it.
    pub(crate) fn renew(&mut self, window: u16, tags: &mut TagCounter) {
        self.generation += 1;
        let generation = self.generation;
        let new = self.next_subscriptions(tags);
        let old = self.subscriptions.clone();
        self.subscriptions.extend(new.iter().cloned());
        let (channel, arguments) = (self.channel.clone(), self.arguments.clone());
        let renewal = async move {
            let streams = arrivals::consume(&channel, window, generation, &new, &arguments).await?;
            arrivals::cancel(&channel, &old).await?;
            Ok(streams)
        };
        let bounded = async {
            let silent = |_| {
                Err(BrokerError::Silent {
                    operation: "replace the consumers".to_owned(),
                    limit: RENEWAL,
                })
            };
            tokio::time::timeout(RENEWAL, renewal)
                .await
                .unwrap_or_else(silent)
        };
        self.renewal = Some(bounded.boxed());
    }

    fn next_subscriptions(&self, tags: &mut TagCounter) -> Vec<Subscription> {
        let subscription = |queue: &String| Subscription {
            queue: queue.clone(),
            tag: tags.next(),
        };
        self.queues.iter().map(subscription).collect()
    }

    /// Cancels all consumers, so that the broker sends no more messages.
    pub(crate) async fn cancel_consumers(&mut self) -> Result<(), BrokerError> {
        self.renewal = None;
        self.arrivals.clear();
        let subscriptions = std::mem::take(&mut self.subscriptions);
        arrivals::cancel(&self.channel, &subscriptions).await
    }

    /// Waits for the next event. It is safe to cancel, such as in a `select!`.
    pub(crate) async fn next(&mut self) -> LinkEvent {
        loop {
            tokio::select! {
                biased;
                renewed = pending_if_none(self.renewal.as_mut()) => {
                    self.renewal = None;
                    return match renewed {
                        Ok(streams) => {
                            let replaced = self.subscriptions.len().saturating_sub(self.queues.len());
                            self.subscriptions.drain(..replaced);
                            self.arrivals.extend(streams);
                            LinkEvent::Renewed(self.generation)
                        }
                        Err(error) => LinkEvent::Lost(explain(&error)),
                    };
                }
                Some(arrival) = self.arrivals.next(), if !self.arrivals.is_empty() => match arrival {
                    Arrival::Message(delivery, message) => return LinkEvent::Message(delivery, message),
                    Arrival::Ended(generation, reason) if generation == self.generation => {
                        return LinkEvent::Lost(reason);
                    }
                    // This consumer was replaced.
                    Arrival::Ended(..) => {}
                },
            }
        }
    }

    /// Returns an observer of the link's queues.
    pub(crate) fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Returns the generation of the link's consumers.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Closes channel and connection, within `limit`; unsettled messages return to their queues.
    pub(crate) async fn close(self, limit: Duration) {
        connection::close_within(limit, &self.connection, "goodbye").await;
    }
}

async fn pending_if_none<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Declares native delayed delivery on a separate connection, as Celery does. If that fails, the worker works
/// without it: senders have to cope, and ETA messages that arrive nevertheless are held here (contract E.4).
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
            explain(&error)
        );
    }
}

/// Returns the argument that makes RabbitMQ always cancel consumers when their queue is deleted. Without it, if a
/// queue of the same name exists again by then, such as one that a producer has just declared, RabbitMQ moves the
/// consumer to that queue without notice, and then delivers nothing (seen with 3.10).
fn always_cancelled() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-cancel-on-ha-failover".into(), AMQPValue::Boolean(true));
    arguments
}
