//! The worker's own way out: messages that are sent until the broker holds them.

use std::sync::OnceLock;
use std::time::Duration;

use celery_protocol::Message;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::destination::Destination;
use crate::amqp::publisher::{PublishError, Publisher};
use crate::amqp::session::SessionConfig;
use crate::persistence::Persistence;

/// How long the broker may take to confirm before the connection counts as dead.
const DEADLINE: Duration = Duration::from_secs(10);

/// Sends messages over one connection that the first of them opens.
pub(crate) struct Outbox {
    config: SessionConfig,
    publisher: OnceLock<Publisher>,
    persistence: Persistence,
}

impl Outbox {
    /// `name` is what the broker's management shows as the connection's name.
    pub(crate) fn new(broker: BrokerUrl, name: String) -> Self {
        Self {
            config: SessionConfig {
                broker,
                name,
                queue: None,
            },
            publisher: OnceLock::new(),
            persistence: Persistence::new(
                "what follows tasks cannot be sent",
                "their messages stay unacked until it is",
                "what follows tasks is sent again",
            ),
        }
    }

    /// The connection, for whatever else goes out by it.
    pub(crate) fn publisher(&self) -> &Publisher {
        self.publisher
            .get_or_init(|| Publisher::start(self.config.clone(), DEADLINE))
    }

    /// Returns when the broker has confirmed the message, however long it is away. What is not known to be held is
    /// sent again, under the same id: it may arrive twice, but it arrives.
    ///
    /// # Errors
    /// Only those that no further attempt can mend.
    pub(crate) async fn send(
        &self,
        destination: &Destination,
        message: &Message,
    ) -> Result<(), PublishError> {
        let attempt = || self.publisher().publish(destination, message);
        self.persistence.until_done(attempt, PublishError::is_final).await
    }

    /// Ends the connection, if there is one, within `limit`.
    pub(crate) async fn close(&self, limit: Duration) {
        if let Some(publisher) = self.publisher.get() {
            publisher.close(limit).await;
        }
    }
}
