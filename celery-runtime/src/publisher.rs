//! Publishing with confirms, over one connection that comes back by itself.

use std::collections::HashSet;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use celery_protocol::Message;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection, Event};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::amqp;
use crate::broker_url::BrokerUrl;
use crate::connection::{self, BrokerError};
use crate::declaration;
use crate::destination::Destination;
use crate::exception::panic_text;
use crate::queue::Queue;

/// Publishes messages: mandatory, confirmed by the broker, within a deadline. One background task owns connection
/// and channel and comes back by itself after every kind of loss. Clones share it.
#[derive(Clone)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
}

/// Where a [`Publisher`] connects, and what it declares as soon as it has.
#[derive(Debug, Clone)]
pub(crate) struct PublisherConfig {
    pub(crate) broker: BrokerUrl,
    /// What the broker's management shows as the connection's name.
    pub(crate) name: String,
    pub(crate) queue: Option<Queue>,
    /// The longest a publish may take, connecting included.
    pub(crate) deadline: Duration,
}

struct Shared {
    config: PublisherConfig,
    link: watch::Receiver<Link>,
    closing: CancellationToken,
    supervisor: TaskTracker,
}

/// What the supervisor knows of the way to the broker.
#[derive(Clone)]
enum Link {
    Connecting,
    Up(Open),
    Blocked(String),
    Down(String),
}

/// A connection that takes messages.
#[derive(Clone)]
struct Open {
    connection: Arc<Connection>,
    channel: Channel,
    /// The queues and exchanges that are known to be there.
    known: Arc<Mutex<HashSet<Known>>>,
    /// Told of a message that was not confirmed in time. It is this connection's own, so that a message that was sent on
    /// an earlier one, or on none, says nothing against this one.
    suspect: Arc<Notify>,
}

#[derive(PartialEq, Eq, Hash)]
enum Known {
    Queue(String),
    Exchange(String),
}

/// Why a message is not known to be held by the broker.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no connection. Nothing was sent.
    #[error("the broker is not reachable: {0}")]
    NotConnected(String),
    /// The broker takes no messages for now (memory or disk alarm). Nothing was sent.
    #[error("the broker takes no messages at the moment: {0}")]
    Blocked(String),
    /// The broker did not confirm in time. It may or may not hold the message.
    #[error("the broker did not confirm the message within {} s", .0.as_secs_f64())]
    Deadline(Duration),
    /// The queue is not there and could not be declared anew.
    #[error("the broker returned the message as not routable to queue {0}")]
    Returned(String),
    /// There is no such exchange. Nothing was sent.
    #[error("there is no exchange {0}")]
    NoExchange(String),
    /// The queue could not be declared. Nothing was sent.
    #[error("the queue could not be declared")]
    Declare(#[source] BrokerError),
    /// The broker refused the message.
    #[error("the broker refused the message (basic.nack)")]
    Nacked,
    /// The connection ended before the confirmation. The broker may or may not hold the message.
    #[error("the connection ended before the broker confirmed the message")]
    Interrupted(#[source] lapin::Error),
    /// The message cannot be put into AMQP frames.
    #[error("the message does not fit into AMQP: {0}")]
    Message(String),
}

impl PublishError {
    /// Whether the same message will be refused however often it is sent.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::NoExchange(_) | Self::Message(_))
    }
}

impl Publisher {
    /// Starts connecting in the background and returns at once.
    pub(crate) fn start(config: PublisherConfig) -> Self {
        let (link_sender, link) = watch::channel(Link::Connecting);
        let shared = Arc::new(Shared {
            config,
            link,
            closing: CancellationToken::new(),
            supervisor: TaskTracker::new(),
        });
        shared
            .supervisor
            .spawn(supervise(Arc::clone(&shared), link_sender));
        shared.supervisor.close();
        Self { shared }
    }

    /// Publishes a message. `Ok` means that the broker has confirmed it.
    ///
    /// # Errors
    /// See [`PublishError`]; after `Deadline` and `Interrupted` the broker may hold the message all the same.
    pub(crate) async fn publish(
        &self,
        destination: &Destination,
        message: &Message,
    ) -> Result<(), PublishError> {
        let deadline = self.shared.config.deadline;
        let mut used = None;
        let sent = self.publish_unbounded(destination, message, &mut used);
        match tokio::time::timeout(deadline, sent).await {
            Ok(sent) => sent,
            Err(_elapsed) => {
                if let Link::Blocked(reason) = &*self.shared.link.borrow() {
                    return Err(PublishError::Blocked(reason.clone()));
                }
                if let Some(Open { suspect, .. }) = used {
                    suspect.notify_one();
                }
                Err(PublishError::Deadline(deadline))
            }
        }
    }

    /// `used` is the connection that the message went out on.
    async fn publish_unbounded(
        &self,
        destination: &Destination,
        message: &Message,
        used: &mut Option<Open>,
    ) -> Result<(), PublishError> {
        let short = |name| connection::short(name).map_err(|error| PublishError::Message(error.to_string()));
        let (exchange, routing_key) = (short(&destination.exchange)?, short(&destination.routing_key)?);
        let properties = amqp::properties_of(&message.properties)
            .map_err(|error| PublishError::Message(error.to_string()))?;
        let mut declared_anew = false;
        loop {
            let open = used.insert(self.open().await?);
            open.make_sure_of(destination, self.is_declared_at_once(destination))
                .await?;
            let confirm = open
                .channel
                .basic_publish(
                    exchange.clone(),
                    routing_key.clone(),
                    BasicPublishOptions {
                        mandatory: true,
                        ..BasicPublishOptions::default()
                    },
                    &message.body,
                    properties.clone(),
                )
                .await
                .map_err(PublishError::Interrupted)?;
            match confirm.await.map_err(PublishError::Interrupted)? {
                Confirmation::Ack(None) => return Ok(()),
                Confirmation::Ack(Some(_)) => match &destination.declare {
                    Some(queue) if declared_anew => return Err(PublishError::Returned(queue.name.clone())),
                    Some(queue) => {
                        declared_anew = true;
                        open.declare(queue).await?;
                    }
                    None => {
                        tracing::warn!(
                            "no queue takes messages of exchange '{}' with key '{}'; one is dropped",
                            destination.exchange,
                            destination.routing_key
                        );
                        return Ok(());
                    }
                },
                Confirmation::Nack(_) | Confirmation::NotRequested => return Err(PublishError::Nacked),
            }
        }
    }

    /// Spares the busy way of a producer of one queue the look at what is known.
    fn is_declared_at_once(&self, destination: &Destination) -> bool {
        matches!((&self.shared.config.queue, &destination.declare), (Some(own), Some(queue)) if own == queue)
    }

    async fn open(&self) -> Result<Open, PublishError> {
        let mut link = self.shared.link.clone();
        let settled = link.wait_for(|link| !matches!(link, Link::Connecting)).await;
        match settled.as_deref() {
            Ok(Link::Up(open)) => Ok(open.clone()),
            Ok(Link::Blocked(reason)) => Err(PublishError::Blocked(reason.clone())),
            Ok(Link::Down(reason)) => Err(PublishError::NotConnected(reason.clone())),
            Ok(Link::Connecting) | Err(_) => {
                Err(PublishError::NotConnected("the producer is closed".to_owned()))
            }
        }
    }

    /// Whether a message sent now would go out at once.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(*self.shared.link.borrow(), Link::Up(_))
    }

    /// Calls `said` with why a message sent now would not go out — `None` when it would — at once and at each
    /// change, for as long as the publisher lives.
    pub(crate) async fn watch(&self, mut said: impl FnMut(Option<String>)) {
        let mut link = self.shared.link.clone();
        loop {
            let trouble = match &*link.borrow_and_update() {
                Link::Up(_) => None,
                Link::Connecting => Some("connecting".to_owned()),
                Link::Blocked(reason) | Link::Down(reason) => Some(reason.clone()),
            };
            said(trouble);
            if link.changed().await.is_err() {
                return;
            }
        }
    }

    /// Closes the connection after what was sent is confirmed or failed, within the deadline of a publish.
    pub(crate) async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.supervisor.wait().await;
    }
}

impl Open {
    fn is_connected(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// Declares the destination's queue, or looks for its exchange, the first time that it is used: a message to
    /// an exchange that is not there would end the channel for all others.
    async fn make_sure_of(&self, destination: &Destination, is_declared: bool) -> Result<(), PublishError> {
        if is_declared || (destination.declare.is_none() && destination.exchange.is_empty()) {
            return Ok(());
        }
        let key = match &destination.declare {
            Some(queue) => Known::Queue(queue.name.clone()),
            None => Known::Exchange(destination.exchange.clone()),
        };
        let mut known = self.known.lock().await;
        if known.contains(&key) {
            return Ok(());
        }
        if let Some(queue) = &destination.declare {
            self.declare(queue).await?;
        } else {
            let exists = declaration::exchange_exists(&self.connection, &destination.exchange).await;
            if !exists.map_err(PublishError::Declare)? {
                return Err(PublishError::NoExchange(destination.exchange.clone()));
            }
        }
        known.insert(key);
        Ok(())
    }

    /// On a channel of its own: a refusal ends the channel, and what others wait for on it.
    async fn declare(&self, queue: &Queue) -> Result<(), PublishError> {
        let declared = async {
            let channel = connection::open_channel(&self.connection).await?;
            let channel = declaration::declare(&self.connection, channel, &queue.declarations()).await?;
            let _already_closed = channel.close(200, "declared".into()).await;
            Ok(())
        };
        declared.await.map_err(PublishError::Declare)
    }
}

async fn supervise(shared: Arc<Shared>, link: watch::Sender<Link>) {
    // A panic must not leave a producer behind that looks well and sends nothing.
    let work = async {
        loop {
            let Err(panic) = AssertUnwindSafe(keep_connected(&shared.config, &link))
                .catch_unwind()
                .await;
            let reason = format!("the task of the connection panicked: {}", panic_text(&*panic));
            link.send_replace(Link::Down(reason.clone()));
            tracing::error!("{reason}; starting it anew");
            tokio::time::sleep(connection::retry_wait(1)).await;
        }
    };
    tokio::select! {
        () = shared.closing.cancelled() => {}
        () = work => {}
    }
    if let Link::Up(open) = link.send_replace(Link::Down("the producer is closed".to_owned())) {
        let goodbye = async {
            let _returned = open.channel.wait_for_confirms().await;
            let _already_closed = open.channel.close(200, "goodbye".into()).await;
        };
        let _gone = tokio::time::timeout(shared.config.deadline, goodbye).await;
    }
}

async fn keep_connected(config: &PublisherConfig, link: &watch::Sender<Link>) -> Infallible {
    let mut attempt = 0;
    loop {
        match open(config, attempt).await {
            Ok(open) => {
                tracing::info!("Connected to {}", config.broker.shown(attempt));
                attempt = 0;
                link.send_replace(Link::Up(open.clone()));
                let reason = watch_over(&open, link).await;
                tracing::warn!("connection to broker lost, connecting anew: {reason}");
                link.send_replace(Link::Connecting);
                connection::close(&open.connection, "connecting anew").await;
            }
            Err(error) => {
                let reason = error.explained();
                let said = matches!(&*link.borrow(), Link::Down(last) if *last == reason);
                if !said {
                    tracing::error!("{reason}; trying again until it answers");
                }
                link.send_replace(Link::Down(reason));
                attempt += 1;
                tokio::time::sleep(connection::retry_wait(attempt)).await;
            }
        }
    }
}

async fn open(config: &PublisherConfig, attempt: usize) -> Result<Open, BrokerError> {
    let connection = connection::connect(&config.broker, attempt, &config.name).await?;
    let mut channel = connection::open_channel(&connection).await?;
    if let Some(queue) = &config.queue {
        channel = declaration::declare(&connection, channel, &queue.declarations()).await?;
    }
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .map_err(BrokerError::refused("confirm publishes"))?;
    Ok(Open {
        connection: Arc::new(connection),
        channel,
        known: Arc::default(),
        suspect: Arc::default(),
    })
}

/// Returns why the connection can no longer be used.
async fn watch_over(open: &Open, link: &watch::Sender<Link>) -> String {
    let mut events = Box::pin(open.connection.events_listener());
    let mut health = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            () = open.suspect.notified() => return "a message was not confirmed".to_owned(),
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!("the broker blocks publishing: {reason}");
                    link.send_replace(Link::Blocked(reason));
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!("the broker takes messages again");
                    link.send_replace(Link::Up(open.clone()));
                }
                // A refused declaration ends a channel of its own, nothing else.
                Some(Event::Error(error)) if !open.is_connected() => return error.to_string(),
                None => return "the connection was closed".to_owned(),
                Some(_) => {}
            },
            _ = health.tick() => if !open.is_connected() {
                return "the channel was closed".to_owned();
            },
        }
    }
}
