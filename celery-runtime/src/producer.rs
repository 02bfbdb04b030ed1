//! The producer: publishes task messages and says yes only to what the broker holds.

use std::time::Duration;

use celery_protocol::TaskCall;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::destination::Destination;
use crate::amqp::publisher::{PublishError, Publisher};
use crate::amqp::queue::Queue;
use crate::amqp::session::SessionConfig;

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

/// Publishes task messages (contract A.1): mandatory, confirmed by the broker, within a deadline. One background
/// task owns connection and channel and comes back by itself after every kind of loss. Clones share it.
#[derive(Clone)]
pub struct Producer {
    publisher: Publisher,
    deadline: Duration,
    default: Destination,
}

impl Producer {
    /// Starts connecting in the background and returns at once.
    pub fn start(config: ProducerConfig) -> Self {
        let queue = Queue::named(config.queue);
        let session = SessionConfig {
            broker: config.broker,
            name: config.name,
            queue: Some(queue.clone()),
        };
        Self {
            publisher: Publisher::start(session, config.deadline),
            deadline: config.deadline,
            default: Destination::queue(queue),
        }
    }

    /// Publishes a task to the producer's queue. `Ok` means that the broker has confirmed it.
    ///
    /// # Errors
    /// See [`PublishError`]; after `Deadline` and `Interrupted` the broker may hold the message all the same,
    /// so whoever sends again should use the same task id.
    pub async fn send(&self, call: &TaskCall) -> Result<(), PublishError> {
        self.send_to(&self.default, call).await
    }

    /// Publishes a task elsewhere; its queue is declared first, once per connection.
    ///
    /// # Errors
    /// Those of [`Producer::send`].
    pub async fn send_to(&self, destination: &Destination, call: &TaskCall) -> Result<(), PublishError> {
        self.publisher.publish(destination, &call.encode()).await
    }

    /// Whether a message sent now would go out at once.
    pub fn is_connected(&self) -> bool {
        self.publisher.is_connected()
    }

    /// Calls `said` with why a message sent now would not go out — `None` when it would — at once and at each
    /// change, for as long as the producer lives.
    pub async fn watch(&self, said: impl FnMut(Option<String>)) {
        self.publisher.watch(said).await;
    }

    /// Closes the connection after what was sent is confirmed or failed, within the deadline of a send.
    pub async fn close(&self) {
        self.publisher.close(self.deadline).await;
    }
}
