//! A connection that publishes with confirms and reconnects by itself after any loss.

use std::collections::HashSet;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use explain::explain;
use futures_util::{FutureExt, StreamExt};
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection, Event};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::task::TaskTracker;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::connection::{self, BrokerError};
use crate::amqp::declaration::{self, Declaration};
use crate::amqp::queue::Queue;
use crate::task::exception::panic_text;

/// The broker of a [`Session`], and the queue that it declares on each connection.
#[derive(Debug, Clone)]
pub(crate) struct SessionConfig {
    pub(crate) broker: BrokerUrl,
    /// The connection's name in the broker's management.
    pub(crate) name: String,
    pub(crate) queue: Option<Queue>,
}

/// The connection to the broker. One background task owns connection and channel, and reopens them after a loss.
/// Clones share it.
#[derive(Clone)]
pub(crate) struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    config: SessionConfig,
    way: watch::Receiver<Way>,
    /// How long closing may take, once [`Session::close`] has asked for it.
    closing: watch::Sender<Option<Duration>>,
    supervisor: TaskTracker,
}

/// The state of a session.
#[derive(Clone)]
pub(crate) enum Way {
    /// The first attempt has not finished, or a connection has just been lost.
    Connecting,
    /// Messages can be sent.
    Up(Live),
    /// The broker accepts no messages for now (memory or disk alarm), with its reason.
    Blocked(String),
    /// The last attempt failed, or the session is closed, with the reason.
    Down(String),
}

/// A connection that accepts messages.
#[derive(Clone)]
pub(crate) struct Live {
    connection: Arc<Connection>,
    pub(crate) channel: Channel,
    /// The queues and exchanges that are known to exist.
    pub(crate) known: Arc<Mutex<HashSet<Known>>>,
    /// Notified of a message that was not confirmed in time. Each connection has its own, so that a message that
    /// was sent on an earlier connection, or on none, does not count against this one.
    suspect: Arc<Notify>,
}

/// A queue or an exchange that exists.
#[derive(PartialEq, Eq, Hash)]
pub(crate) enum Known {
    Queue(String),
    Exchange(String),
}

impl Session {
    /// Starts connecting in the background and returns at once.
    pub(crate) fn start(config: SessionConfig) -> Self {
        let (sender, way) = watch::channel(Way::Connecting);
        let shared = Arc::new(Shared {
            config,
            way,
            closing: watch::Sender::new(None),
            supervisor: TaskTracker::new(),
        });
        shared.supervisor.spawn(supervise(Arc::clone(&shared), sender));
        shared.supervisor.close();
        Self { shared }
    }

    /// Returns the queue that is declared on each connection.
    pub(crate) fn queue(&self) -> Option<&Queue> {
        self.shared.config.queue.as_ref()
    }

    /// Returns a receiver for the state of the session.
    pub(crate) fn way(&self) -> watch::Receiver<Way> {
        self.shared.way.clone()
    }

    /// Closes the connection, within `limit`, after everything sent is confirmed or has failed.
    pub(crate) async fn close(&self, limit: Duration) {
        self.shared.closing.send_replace(Some(limit));
        self.shared.supervisor.wait().await;
    }
}

impl Live {
    fn is_connected(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// Reports a message on this connection that was not confirmed in time.
    pub(crate) fn suspect(&self) {
        self.suspect.notify_one();
    }

    /// Declares a queue on a separate channel: a refusal ends the channel, and everything that others await on it.
    pub(crate) async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        let channel = connection::open_channel(&self.connection).await?;
        let channel = declaration::declare(&self.connection, channel, &Declaration::of(queue)).await?;
        let _already_closed = channel.close(200, "declared".into()).await;
        Ok(())
    }

    /// Returns whether the exchange exists.
    pub(crate) async fn exchange_exists(&self, name: &str) -> Result<bool, BrokerError> {
        declaration::exchange_exists(&self.connection, name).await
    }
}

async fn supervise(shared: Arc<Shared>, way: watch::Sender<Way>) {
    // A panic must not leave a session behind that looks healthy and sends nothing.
    let work = async {
        loop {
            let Err(panic) = AssertUnwindSafe(keep_connected(&shared.config, &way))
                .catch_unwind()
                .await;
            let reason = format!("the connection task panicked: {}", panic_text(&*panic));
            way.send_replace(Way::Down(reason.clone()));
            tracing::error!("{reason}; starting it again");
            tokio::time::sleep(connection::retry_wait(1)).await;
        }
    };
    let mut closing = shared.closing.subscribe();
    let limit = tokio::select! {
        // It cannot fail: `shared` holds the sender.
        Ok(closing) = closing.wait_for(Option::is_some) => closing.unwrap_or_default(),
        () = work => Duration::ZERO,
    };
    if let Way::Up(live) = way.send_replace(Way::Down("the producer is closed".to_owned())) {
        let closing = async {
            let _returned = live.channel.wait_for_confirms().await;
            let _already_closed = live.channel.close(200, "goodbye".into()).await;
        };
        let _gone = tokio::time::timeout(limit, closing).await;
    }
}

async fn keep_connected(config: &SessionConfig, way: &watch::Sender<Way>) -> Infallible {
    let mut attempt = 0;
    loop {
        match establish(config, attempt).await {
            Ok(live) => {
                tracing::info!("Connected to {}", config.broker.shown(attempt));
                attempt = 0;
                way.send_replace(Way::Up(live.clone()));
                let reason = watch_over(&live, way).await;
                tracing::warn!("connection to broker lost; reconnecting: {reason}");
                way.send_replace(Way::Connecting);
                connection::close(&live.connection, "reconnecting").await;
            }
            Err(error) => {
                let reason = explain(&error);
                let is_logged = matches!(&*way.borrow(), Way::Down(last) if *last == reason);
                if !is_logged {
                    tracing::error!("{reason}; retrying until the broker answers");
                }
                way.send_replace(Way::Down(reason));
                attempt += 1;
                tokio::time::sleep(connection::retry_wait(attempt)).await;
            }
        }
    }
}

async fn establish(config: &SessionConfig, attempt: usize) -> Result<Live, BrokerError> {
    let connection = connection::connect(&config.broker, attempt, &config.name).await?;
    let mut channel = connection::open_channel(&connection).await?;
    if let Some(queue) = &config.queue {
        channel = declaration::declare(&connection, channel, &Declaration::of(queue)).await?;
    }
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .map_err(BrokerError::refused("enable publisher confirms"))?;
    Ok(Live {
        connection: Arc::new(connection),
        channel,
        known: Arc::default(),
        suspect: Arc::default(),
    })
}

/// Waits until the connection can no longer be used, and returns the reason.
async fn watch_over(live: &Live, way: &watch::Sender<Way>) -> String {
    let mut events = Box::pin(live.connection.events_listener());
    let mut health = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            () = live.suspect.notified() => return "a message was not confirmed".to_owned(),
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!("the broker blocks publishing: {reason}");
                    way.send_replace(Way::Blocked(reason));
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!("the broker accepts messages again");
                    way.send_replace(Way::Up(live.clone()));
                }
                // A refused declaration ends only its own channel.
                Some(Event::Error(error)) if !live.is_connected() => return explain(&error),
                None => return "the connection was closed".to_owned(),
                Some(_) => {}
            },
            _ = health.tick() => if !live.is_connected() {
                return "the channel was closed".to_owned();
            },
        }
    }
}
