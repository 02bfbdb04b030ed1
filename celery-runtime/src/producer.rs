//! The producer: publishes task messages and says yes only to what the broker holds.

use std::sync::Arc;
use std::time::Duration;

use celery_protocol::TaskCall;
use futures_util::StreamExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection, Event};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::amqp;
use crate::broker_url::BrokerUrl;
use crate::connection::{self, BrokerError};

/// Where and how a [`Producer`] publishes.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// The broker.
    pub broker: BrokerUrl,
    /// The queue that tasks go to; Celery's default is `celery`.
    pub queue: String,
    /// The longest a [`Producer::send`] may take, connecting included.
    pub deadline: Duration,
    /// What the broker's management shows as the connection's name.
    pub name: String,
}

/// Publishes task messages through the default exchange to one queue (contract A.1): mandatory, confirmed by
/// the broker, within a deadline. One background task owns connection and channel and comes back by itself
/// after every kind of loss. Clones share it.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    config: ProducerConfig,
    link: watch::Receiver<Link>,
    suspect: Notify,
    closing: CancellationToken,
    supervisor: TaskTracker,
}

/// What the supervisor knows of the way to the broker.
#[derive(Clone)]
enum Link {
    Connecting,
    Up(Channel),
    Blocked(String),
    Down(String),
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

impl Producer {
    /// Starts connecting in the background and returns at once.
    pub fn start(config: ProducerConfig) -> Self {
        let (link_sender, link) = watch::channel(Link::Connecting);
        let shared = Arc::new(Shared {
            config,
            link,
            suspect: Notify::new(),
            closing: CancellationToken::new(),
            supervisor: TaskTracker::new(),
        });
        shared
            .supervisor
            .spawn(supervise(Arc::clone(&shared), link_sender));
        shared.supervisor.close();
        Self { shared }
    }

    /// Publishes a task. `Ok` means that the broker has confirmed it.
    ///
    /// # Errors
    /// See [`PublishError`]; after `Deadline` and `Interrupted` the broker may hold the message all the same,
    /// so whoever sends again should use the same task id.
    pub async fn send(&self, call: &TaskCall) -> Result<(), PublishError> {
        let deadline = self.shared.config.deadline;
        match tokio::time::timeout(deadline, self.send_unbounded(call)).await {
            Ok(sent) => sent,
            Err(_elapsed) => {
                if let Link::Blocked(reason) = &*self.shared.link.borrow() {
                    return Err(PublishError::Blocked(reason.clone()));
                }
                self.shared.suspect.notify_one();
                Err(PublishError::Deadline(deadline))
            }
        }
    }

    async fn send_unbounded(&self, call: &TaskCall) -> Result<(), PublishError> {
        let queue = &self.shared.config.queue;
        let message = call.encode();
        let properties = amqp::properties_of(&message.properties)
            .map_err(|error| PublishError::Message(error.to_string()))?;
        let routing_key =
            connection::short(queue).map_err(|error| PublishError::Message(error.to_string()))?;
        let mut declared_anew = false;
        loop {
            let channel = self.channel().await?;
            let confirm = channel
                .basic_publish(
                    "".into(),
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
                Confirmation::Ack(Some(_)) if !declared_anew => {
                    declared_anew = true;
                    self.reconnect().await;
                }
                Confirmation::Ack(Some(_)) => return Err(PublishError::Returned(queue.clone())),
                Confirmation::Nack(_) | Confirmation::NotRequested => return Err(PublishError::Nacked),
            }
        }
    }

    async fn channel(&self) -> Result<Channel, PublishError> {
        let mut link = self.shared.link.clone();
        let settled = link.wait_for(|link| !matches!(link, Link::Connecting)).await;
        match settled.as_deref() {
            Ok(Link::Up(channel)) => Ok(channel.clone()),
            Ok(Link::Blocked(reason)) => Err(PublishError::Blocked(reason.clone())),
            Ok(Link::Down(reason)) => Err(PublishError::NotConnected(reason.clone())),
            Ok(Link::Connecting) | Err(_) => {
                Err(PublishError::NotConnected("the producer is closed".to_owned()))
            }
        }
    }

    /// Has the supervisor connect and declare anew, and waits until it does.
    async fn reconnect(&self) {
        let mut link = self.shared.link.clone();
        link.mark_unchanged();
        self.shared.suspect.notify_one();
        let _closed = link.changed().await;
    }

    /// Whether a message sent now would go out at once.
    pub fn is_connected(&self) -> bool {
        matches!(*self.shared.link.borrow(), Link::Up(_))
    }

    /// Calls `said` with why a message sent now would not go out — `None` when it would — at once and at each
    /// change, for as long as the producer lives.
    pub async fn watch(&self, mut said: impl FnMut(Option<String>)) {
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

    /// Closes the connection after what was sent is confirmed or failed, within the deadline of a send.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.supervisor.wait().await;
    }
}

async fn supervise(shared: Arc<Shared>, link: watch::Sender<Link>) {
    let work = async {
        let mut attempt = 0;
        loop {
            match open(&shared.config, attempt).await {
                Ok((connection, channel)) => {
                    tracing::info!("Connected to {}", shared.config.broker.shown(attempt));
                    attempt = 0;
                    link.send_replace(Link::Up(channel.clone()));
                    let reason = watch_over(&shared, &connection, channel, &link).await;
                    tracing::warn!("connection to broker lost, connecting anew: {reason}");
                    link.send_replace(Link::Connecting);
                    connection::close(&connection, "connecting anew").await;
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
    };
    tokio::select! {
        () = shared.closing.cancelled() => {}
        () = work => {}
    }
    if let Link::Up(channel) = link.send_replace(Link::Down("the producer is closed".to_owned())) {
        let goodbye = async {
            let _returned = channel.wait_for_confirms().await;
            let _already_closed = channel.close(200, "goodbye".into()).await;
        };
        let _gone = tokio::time::timeout(shared.config.deadline, goodbye).await;
    }
}

async fn open(config: &ProducerConfig, attempt: usize) -> Result<(Connection, Channel), BrokerError> {
    let connection = connection::connect(&config.broker, attempt, &config.name).await?;
    let channel = connection::open_channel(&connection).await?;
    let channel = connection::declare(&connection, channel, &config.queue).await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .map_err(BrokerError::refused("confirm publishes"))?;
    Ok((connection, channel))
}

/// Returns why the connection can no longer be used.
async fn watch_over(
    shared: &Shared,
    connection: &Connection,
    channel: Channel,
    link: &watch::Sender<Link>,
) -> String {
    let mut events = Box::pin(connection.events_listener());
    let mut health = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            () = shared.suspect.notified() => return "a message was not confirmed".to_owned(),
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!("the broker blocks publishing: {reason}");
                    link.send_replace(Link::Blocked(reason));
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!("the broker takes messages again");
                    link.send_replace(Link::Up(channel.clone()));
                }
                Some(Event::Error(error)) => return error.to_string(),
                None => return "the connection was closed".to_owned(),
                Some(_) => {}
            },
            _ = health.tick() => if !channel.status().connected() {
                return "the channel was closed".to_owned();
            },
        }
    }
}
