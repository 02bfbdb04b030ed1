//! The worker's own messages, which are sent until the broker confirms them.

use std::sync::OnceLock;
use std::time::Duration;

use celery_protocol::Message;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::destination::Destination;
use crate::amqp::publisher::{PublishError, Publisher};
use crate::amqp::session::SessionConfig;
use crate::persistence::Persistence;

/// Limit for a confirmation, after which the connection counts as dead.
const DEADLINE: Duration = Duration::from_secs(10);

/// Sends messages over one connection, which is opened for the first of them.
pub(crate) struct Outbox {
    config: SessionConfig,
    publisher: OnceLock<Publisher>,
    persistence: Persistence,
}

impl Outbox {
    /// Creates an outbox. `name` is shown as the connection's name in the broker's management.
    pub(crate) fn new(broker: BrokerUrl, name: String) -> Self {
        Self {
            config: SessionConfig {
                broker,
                name,
                queue: None,
            },
            publisher: OnceLock::new(),
            persistence: Persistence::new(
                "messages that follow tasks cannot be sent",
                "the tasks' own messages stay unacked until it succeeds",
                "messages that follow tasks are being sent again",
            ),
        }
    }

    /// Returns the publisher of this connection, for other messages that use it.
    pub(crate) fn publisher(&self) -> &Publisher {
        self.publisher
            .get_or_init(|| Publisher::start(self.config.clone(), DEADLINE))
    }

    /// Returns when the broker has confirmed the message, however long the broker is away. A message without
    /// confirmation is sent again with the same id: it may arrive twice, but it arrives.
    ///
    /// # Errors
    /// Only errors that another attempt cannot resolve.
    pub(crate) async fn send(
        &self,
        destination: &Destination,
        message: &Message,
    ) -> Result<(), PublishError> {
        let attempt = || self.publisher().publish(destination, message);
        self.persistence.until_done(attempt, PublishError::is_final).await
    }

    /// Closes the connection, if there is one, within `limit`.
    pub(crate) async fn close(&self, limit: Duration) {
        if let Some(publisher) = self.publisher.get() {
            publisher.close(limit).await;
        }
    }
}
