//! Publishing with confirms.

use std::time::Duration;

use celery_protocol::Message;
use lapin::Confirmation;
use lapin::options::BasicPublishOptions;

use crate::amqp::connection::{self, AmqpError, BrokerError};
use crate::amqp::destination::Destination;
use crate::amqp::fields;
use crate::amqp::session::{Known, Live, Session, SessionConfig, Way};

/// Publishes messages: mandatory, confirmed by the broker, within a deadline. Clones share one [`Session`].
#[derive(Clone)]
pub(crate) struct Publisher {
    session: Session,
    /// The longest a publish may take, connecting included.
    deadline: Duration,
}

/// The reason why the broker may not hold a message.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no connection. Nothing was sent.
    #[error("the broker is not reachable: {0}")]
    NotConnected(String),
    /// The broker accepts no messages for now (memory or disk alarm). Nothing was sent.
    #[error("the broker accepts no messages at the moment: {0}")]
    Blocked(String),
    /// The broker did not confirm in time. It may or may not hold the message.
    #[error("the broker did not confirm the message within {} s", .0.as_secs_f64())]
    Deadline(Duration),
    /// The queue does not exist and could not be declared again.
    #[error("the broker returned the message as not routable to queue {0}")]
    Returned(String),
    /// The exchange does not exist. Nothing was sent.
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
    Interrupted(#[source] AmqpError),
    /// The message cannot be encoded for AMQP.
    #[error("the message cannot be encoded for AMQP")]
    Message(#[source] BrokerError),
}

impl PublishError {
    /// Returns whether the same message would be refused however often it is sent.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::NoExchange(_) | Self::Message(_))
    }
}

impl Publisher {
    /// Starts connecting in the background and returns at once. `deadline` is the longest a publish may take, connecting
    /// included.
    pub(crate) fn start(config: SessionConfig, deadline: Duration) -> Self {
        Self {
            session: Session::start(config),
            deadline,
        }
    }

    /// Publishes a message. `Ok` means that the broker has confirmed it.
    ///
    /// # Errors
    /// See [`PublishError`]; after `Deadline` and `Interrupted`, the broker may hold the message nevertheless.
    pub(crate) async fn publish(
        &self,
        destination: &Destination,
        message: &Message,
    ) -> Result<(), PublishError> {
        let mut used = None;
        let sent = self.publish_unbounded(destination, message, &mut used);
        match tokio::time::timeout(self.deadline, sent).await {
            Ok(sent) => sent,
            Err(_elapsed) => {
                if let Way::Blocked(reason) = &*self.session.way().borrow() {
                    return Err(PublishError::Blocked(reason.clone()));
                }
                if let Some(live) = used {
                    live.suspect();
                }
                Err(PublishError::Deadline(self.deadline))
            }
        }
    }

    /// Publishes without a deadline. `used` is set to the connection that the message was sent on.
    async fn publish_unbounded(
        &self,
        destination: &Destination,
        message: &Message,
        used: &mut Option<Live>,
    ) -> Result<(), PublishError> {
        let short = |name| connection::short(name).map_err(PublishError::Message);
        let (exchange, routing_key) = (short(&destination.exchange)?, short(&destination.routing_key)?);
        let properties = fields::properties_of(&message.properties)
            .map_err(|_too_long| PublishError::Message(BrokerError::PropertyTooLong))?;
        let interrupted = |error| PublishError::Interrupted(AmqpError::new(error));
        let mut declared_again = false;
        loop {
            let live = used.insert(self.live().await?);
            if !self.is_declared_on_connecting(destination) {
                make_sure_of(live, destination).await?;
            }
            let confirm = live
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
                .map_err(interrupted)?;
            match confirm.await.map_err(interrupted)? {
                Confirmation::Ack(None) => return Ok(()),
                Confirmation::Ack(Some(_)) => match &destination.declare {
                    Some(queue) if declared_again => return Err(PublishError::Returned(queue.name.clone())),
                    Some(queue) => {
                        declared_again = true;
                        live.declare(queue).await.map_err(PublishError::Declare)?;
                    }
                    None => {
                        tracing::warn!(
                            "no queue is bound to exchange '{}' with key '{}'; one message is dropped",
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

    /// Returns whether the session declares this queue itself. This spares a producer with one queue the lookup of
    /// known queues for each message.
    fn is_declared_on_connecting(&self, destination: &Destination) -> bool {
        matches!((self.session.queue(), &destination.declare), (Some(own), Some(queue)) if own == queue)
    }

    /// Waits while the session connects.
    async fn live(&self) -> Result<Live, PublishError> {
        let mut way = self.session.way();
        let settled = way.wait_for(|way| !matches!(way, Way::Connecting)).await;
        match settled.as_deref() {
            Ok(Way::Up(live)) => Ok(live.clone()),
            Ok(Way::Blocked(reason)) => Err(PublishError::Blocked(reason.clone())),
            Ok(Way::Down(reason)) => Err(PublishError::NotConnected(reason.clone())),
            Ok(Way::Connecting) | Err(_) => {
                Err(PublishError::NotConnected("the producer is closed".to_owned()))
            }
        }
    }

    /// Returns whether a message sent now would go out at once.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(*self.session.way().borrow(), Way::Up(_))
    }

    /// Calls `report` with the reason why a message sent now would not go out (`None` if it would), once at the
    /// beginning and then at each change, for the lifetime of the publisher.
    pub(crate) async fn watch(&self, mut report: impl FnMut(Option<String>)) {
        let mut way = self.session.way();
        loop {
            let trouble = match &*way.borrow_and_update() {
                Way::Up(_) => None,
                Way::Connecting => Some("connecting".to_owned()),
                Way::Blocked(reason) | Way::Down(reason) => Some(reason.clone()),
            };
            report(trouble);
            if way.changed().await.is_err() {
                return;
            }
        }
    }

    /// Closes the connection, within `limit`, after everything sent is confirmed or has failed.
    pub(crate) async fn close(&self, limit: Duration) {
        self.session.close(limit).await;
    }
}

/// Declares the destination's queue, or checks its exchange, when it is first used on this connection: a message to
/// an exchange that does not exist would end the channel for all others.
async fn make_sure_of(live: &Live, destination: &Destination) -> Result<(), PublishError> {
    if destination.declare.is_none() && destination.exchange.is_empty() {
        return Ok(());
    }
    let key = match &destination.declare {
        Some(queue) => Known::Queue(queue.name.clone()),
        None => Known::Exchange(destination.exchange.clone()),
    };
    let mut known = live.known.lock().await;
    if known.contains(&key) {
        return Ok(());
    }
    if let Some(queue) = &destination.declare {
        live.declare(queue).await.map_err(PublishError::Declare)?;
    } else {
        let exists = live.exchange_exists(&destination.exchange).await;
        if !exists.map_err(PublishError::Declare)? {
            return Err(PublishError::NoExchange(destination.exchange.clone()));
        }
    }
    known.insert(key);
    Ok(())
}
