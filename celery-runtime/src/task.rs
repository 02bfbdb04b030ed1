//! What a task gets and what it gives back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use celery_protocol::{IsoTime, TaskMessage, Value};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::exception::Exception;
use crate::time_limit;

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

impl Request {
    /// A message from the queue `celery`. `redelivered` is the broker's word that it has delivered this message
    /// before.
    pub fn new(message: TaskMessage, redelivered: bool) -> Self {
        let delivery_info = DeliveryInfo {
            exchange: String::new(),
            routing_key: "celery".to_owned(),
            redelivered,
        };
        Self::delivered(message, delivery_info)
    }

    /// A message that came by this exchange and key.
    pub fn delivered(message: TaskMessage, delivery_info: DeliveryInfo) -> Self {
        Self {
            message: Arc::new(message),
            delivery_info: Arc::new(delivery_info),
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
    pub(crate) fn shown(&self) -> String {
        format!("{}[{}]", self.message.name(), self.message.id)
    }

    /// What tells one run of a task from another: a retry keeps the id and counts `retries` up.
    pub(crate) fn run(&self) -> Run {
        Run {
            id: self.message.id.clone(),
            retries: self.message.retries,
        }
    }
}

/// One run of a task: its id and how often it was retried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) retries: i64,
}

/// What a task handler returns: its result, or how it ended otherwise.
pub type TaskResult = Result<Value, TaskError>;

/// The ways a task ends without a result.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskError {
    /// The task failed: Celery's `raised unexpected`, or `raised expected` where its options name the exception.
    /// Acked all the same (contract E.1).
    Failed(Exception),
    /// Celery's `Retry`: the task is sent again with the same id (contract A.9).
    Retry(Retry),
    /// Celery's `Reject`: the message goes back to the queue, or to its dead-letter exchange, if any.
    Reject {
        /// Whether the broker shall deliver it again.
        requeue: bool,
        /// Why, for the log.
        reason: String,
    },
    /// Celery's `Ignore`: acked, no result, no failure.
    Ignore,
}

impl TaskError {
    /// A failure shown as Python shows an exception: `raised("ValueError", "boom")` is `ValueError('boom')`.
    pub fn raised(kind: &str, message: impl Into<String>) -> Self {
        Self::Failed(Exception::new(kind, message))
    }

    /// How a Python task ends that does not catch its soft time limit: `SoftTimeLimitExceeded()`.
    pub fn soft_time_limit_exceeded() -> Self {
        Self::Failed(Exception::with_args("SoftTimeLimitExceeded", Vec::new()))
    }
}

impl From<Exception> for TaskError {
    fn from(exception: Exception) -> Self {
        Self::Failed(exception)
    }
}

impl From<Retry> for TaskError {
    fn from(retry: Retry) -> Self {
        Self::Retry(retry)
    }
}

/// The arguments of Celery's `Task.retry`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retry {
    /// When to run again; `None`: after the task's `default_retry_delay`.
    pub when: Option<When>,
    /// Why; also what the task fails with when it has been retried often enough.
    pub exception: Option<Exception>,
    /// How often at most, for this run; `None`: as the task is registered.
    pub max_retries: Option<u32>,
}

impl Retry {
    /// The same after this delay (`countdown`).
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self {
            when: Some(When::In(delay)),
            ..self
        }
    }

    /// The same at this time (`eta`).
    #[must_use]
    pub fn at(self, eta: Timestamp) -> Self {
        Self {
            when: Some(When::At(eta)),
            ..self
        }
    }
}

/// A time from now or on the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long from now.
    In(Duration),
    /// At this time.
    At(Timestamp),
}

impl fmt::Display for When {
    /// Celery's `Retry.humanize`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(delay) => write!(f, "in {}s", time_limit::seconds(*delay)),
            Self::At(eta) => write!(f, "at {}", IsoTime::from(*eta).isoformat().replacen('T', " ", 1)),
        }
    }
}

/// How a run ended, as a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result.
    Succeeded(Value),
    /// With a failure, a panic included.
    Failed(Exception),
    /// With a failure because the hard time limit, in seconds, had passed.
    TimedOut(f64),
    /// With Celery's `Retry`, once more in time.
    Retried {
        /// When it shall run again.
        when: When,
        /// Why, if the task has said so.
        exception: Option<Exception>,
    },
    /// With Celery's `Reject`.
    Rejected {
        /// Whether the broker shall deliver it again.
        requeue: bool,
        /// Why, for the log.
        reason: String,
    },
    /// With Celery's `Ignore`.
    Ignored,
}

impl Outcome {
    /// Whether the task has failed for good, as Celery sees it: with `Reject` it has, unless the message comes again.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Failed(_) | Self::TimedOut(_) | Self::Rejected { requeue: false, .. }
        )
    }

    /// Whether the task has ended for good, with or without success.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded(_)) || self.is_failure()
    }
}
