//! The task queue in RabbitMQ.

use celery_protocol::TaskCall;
use celery_runtime::Producer;

use crate::task_queue::{TaskQueue, Unavailable};

/// A Celery queue behind a confirming producer.
#[derive(Clone)]
pub struct AmqpQueue {
    /// The publisher, which holds the queue's name and the deadline.
    pub producer: Producer,
}

impl TaskQueue for AmqpQueue {
    async fn put(&self, call: TaskCall) -> Result<(), Unavailable> {
        self.producer
            .send(&call)
            .await
            .map_err(|error| Unavailable(Box::new(error)))
    }

    fn is_ready(&self) -> bool {
        self.producer.is_connected()
    }
}
