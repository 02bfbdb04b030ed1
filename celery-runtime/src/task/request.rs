//! What a task gets.

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

/// How a message came: Celery's `delivery_info`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryInfo {
    /// The exchange it was published to; `""` is the default exchange.
    pub exchange: String,
    /// With this routing key; in the default exchange the name of the queue.
    pub routing_key: String,
    /// Whether the broker has delivered it before.
    pub redelivered: bool,
}

impl DeliveryInfo {
    /// From a queue by way of the default exchange. `redelivered` is whether it was delivered before.
    pub fn from_queue(queue: impl Into<String>, redelivered: bool) -> Self {
        Self {
            exchange: String::new(),
            routing_key: queue.into(),
            redelivered,
        }
    }
}

impl Request {
    /// A message from the queue `celery`. `redelivered` is whether it was delivered before.
    pub fn new(message: TaskMessage, redelivered: bool) -> Self {
        Self::delivered(message, Arc::new(DeliveryInfo::from_queue("celery", redelivered)))
    }

    /// A message that came by this exchange and key.
    pub fn delivered(message: TaskMessage, delivery_info: Arc<DeliveryInfo>) -> Self {
        Self {
            message: Arc::new(message),
            delivery_info,
            soft_time_limit: CancellationToken::new(),
        }
    }

    /// The message: arguments, headers, embedded canvas.
    pub fn message(&self) -> &TaskMessage {
        &self.message
    }

    /// The task id.
    pub fn id(&self) -> &str {
        &self.message.id
    }

    /// The registered name of the task.
    pub fn task(&self) -> &str {
        &self.message.task
    }

    /// Whether the broker has delivered this message before.
    pub fn redelivered(&self) -> bool {
        self.delivery_info.redelivered
    }

    /// The exchange and key that the message came by.
    pub fn delivery_info(&self) -> &DeliveryInfo {
        &self.delivery_info
    }

    /// Cancelled when the soft time limit has passed, where Python raises `SoftTimeLimitExceeded` in the task: time
    /// to tidy up, before the hard limit drops the task. A task that wants to end as Python's does returns
    /// [`TaskError::soft_time_limit_exceeded`].
    pub fn soft_time_limit(&self) -> &CancellationToken {
        &self.soft_time_limit
    }

    /// Asks for another run of this task because of `exception`, after the task's `default_retry_delay` and if it
    /// was not retried `max_retries` times already: `Err(request.retry(exception).after(delay).into())`.
    #[must_use]
    pub fn retry(&self, exception: Exception) -> Retry {
        Retry {
            exception: Some(exception),
            ..Retry::default()
        }
    }

    /// `name[id]`, as log lines show a task.
    /// Name and id as Celery's log lines show them: `proj.tasks.add[7a3c…]`.
    pub fn shown(&self) -> String {
        format!("{}[{}]", self.message.name(), self.message.id)
    }

    /// What tells one run of a task from another: a retry keeps the id and counts `retries` up.
    pub(crate) fn run_key(&self) -> RunKey {
        RunKey {
            id: self.message.id.clone(),
            retries: self.message.retries,
        }
    }
}

/// One run of a task: its id and how often it was retried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RunKey {
    pub(crate) id: String,
    pub(crate) retries: i64,
}
