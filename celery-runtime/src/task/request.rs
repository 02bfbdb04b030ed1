//! The input of a task.

use std::sync::Arc;

use celery_protocol::TaskMessage;
use tokio_util::sync::CancellationToken;

use super::exception::Exception;
use super::outcome::Retry;

/// A task message on its way through the worker: Celery's `Request`, as the task sees it.
#[derive(Debug, Clone)]
pub struct Request {
    message: Arc<TaskMessage>,
    delivery_info: Arc<DeliveryInfo>,
    soft_time_limit: CancellationToken,
}

/// How a message was delivered: Celery's `delivery_info`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryInfo {
    /// The exchange that the message was published to; `""` is the default exchange.
    pub exchange: String,
    /// The routing key; for the default exchange, the name of the queue.
    pub routing_key: String,
    /// Whether the broker has delivered the message before.
    pub redelivered: bool,
}

impl DeliveryInfo {
    /// Returns the delivery info of a message from a queue through the default exchange. `redelivered` is whether
    /// it was delivered before.
    pub fn from_queue(queue: impl Into<String>, redelivered: bool) -> Self {
        Self {
            exchange: String::new(),
            routing_key: queue.into(),
            redelivered,
        }
    }
}

impl Request {
    /// Creates a request for a message from the queue `celery`. `redelivered` is whether it was delivered before.
    pub fn new(message: TaskMessage, redelivered: bool) -> Self {
        Self::delivered(message, Arc::new(DeliveryInfo::from_queue("celery", redelivered)))
    }

    /// Creates a request for a message with this delivery info.
    pub fn delivered(message: TaskMessage, delivery_info: Arc<DeliveryInfo>) -> Self {
        Self {
            message: Arc::new(message),
            delivery_info,
            soft_time_limit: CancellationToken::new(),
        }
    }

    /// Returns the message: arguments, headers, embedded canvas.
    pub fn message(&self) -> &TaskMessage {
        &self.message
    }

    /// Returns the task id.
    pub fn id(&self) -> &str {
        &self.message.id
    }

    /// Returns the registered name of the task.
    pub fn task(&self) -> &str {
        &self.message.task
    }

    /// Returns whether the broker has delivered this message before.
    pub fn redelivered(&self) -> bool {
        self.delivery_info.redelivered
    }

    /// Returns how the message was delivered: its exchange and routing key.
    pub fn delivery_info(&self) -> &DeliveryInfo {
        &self.delivery_info
    }

    /// Returns a token that is cancelled when the soft time limit has passed; Python raises `SoftTimeLimitExceeded`
    /// in the task instead. The task then has time to clean up before the hard limit drops it. A task that should
    /// end like Python's returns [`TaskError::soft_time_limit_exceeded`](crate::TaskError::soft_time_limit_exceeded).
    pub fn soft_time_limit(&self) -> &CancellationToken {
        &self.soft_time_limit
    }

    /// Requests another run of this task because of `exception`, after the task's `default_retry_delay` and unless
    /// it has already been retried `max_retries` times: `Err(request.retry(exception).after(delay).into())`.
    #[must_use]
    pub fn retry(&self, exception: Exception) -> Retry {
        Retry {
            exception: Some(exception),
            ..Retry::default()
        }
    }

    /// Returns name and id as in Celery's log lines: `proj.tasks.add[7a3c…]`.
    pub fn shown(&self) -> String {
        format!("{}[{}]", self.message.name(), self.message.id)
    }

    /// Returns the key that identifies a run of a task: a retry keeps the id and increments `retries`.
    pub(crate) fn run_key(&self) -> RunKey {
        RunKey {
            id: self.message.id.clone(),
            retries: self.message.retries,
        }
    }
}

/// The key of a run: its task id and how often the task was retried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RunKey {
    pub(crate) id: String,
    pub(crate) retries: i64,
}
