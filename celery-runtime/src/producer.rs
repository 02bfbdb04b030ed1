//! The producer: publishes task messages and reports success only after the broker has confirmed them.

use std::time::Duration;

use celery_protocol::TaskCall;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::destination::Destination;
use crate::amqp::publisher::{PublishError, Publisher};
use crate::amqp::queue::Queue;
use crate::amqp::session::SessionConfig;

/// The settings of a [`Producer`].
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// The broker.
    pub broker: BrokerUrl,
    /// The queue for tasks; Celery's default is `celery`.
    pub queue: String,
    /// Longest duration of a [`Producer::send`], connecting included.
    pub deadline: Duration,
    /// The connection's name in the broker's management.
    pub name: String,
}

/// Publishes task messages (contract A.1): mandatory, confirmed by the broker, within a deadline. One background
/// task owns connection and channel, and reconnects by itself after any loss. Clones share it.
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
    /// See [`PublishError`]; after `Deadline` and `Interrupted`, the broker may hold the message nevertheless, so a
    /// caller that sends it again should use the same task id.
    pub async fn send(&self, call: &TaskCall) -> Result<(), PublishError> {
        self.send_to(&self.default, call).await
    }

    /// Publishes a task to another destination, whose queue is declared first, once per connection.
    ///
    /// # Errors
    /// The same as for [`Producer::send`].
    pub async fn send_to(&self, destination: &Destination, call: &TaskCall) -> Result<(), PublishError> {
        self.publisher.publish(destination, &call.encode()).await
    }

    /// Returns whether a message sent now would go out at once.
    pub fn is_connected(&self) -> bool {
        self.publisher.is_connected()
    }

    /// Calls `report` with the reason why a message sent now would not go out (`None` if it would), once at the
    /// beginning and then at each change, for the lifetime of the producer.
    pub async fn watch(&self, report: impl FnMut(Option<String>)) {
        self.publisher.watch(report).await;
    }

    /// Closes the connection, within the deadline of a send, after everything sent is confirmed or has failed.
    pub async fn close(&self) {
        self.publisher.close(self.deadline).await;
    }
}
