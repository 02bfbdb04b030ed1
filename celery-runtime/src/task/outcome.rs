//! The result of a task, and the outcome of its run.

use std::fmt;
use std::time::Duration;

use celery_protocol::{IsoTime, Value};
use jiff::Timestamp;

use super::exception::Exception;

/// The return type of a task handler: the result, or another way to end.
pub type TaskResult = Result<Value, TaskError>;

/// The ways in which a task ends without a result.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskError {
    /// The task failed: Celery's `raised unexpected`, or `raised expected` if its options list the exception. The
    /// message is acked nevertheless (contract E.1).
    Failed(Exception),
    /// Celery's `Retry`: the task is sent again with the same id (contract A.9).
    Retry(Retry),
    /// Celery's `Reject`: the message goes back to the queue, or to its dead-letter exchange, if any.
    Reject {
        /// Whether the broker redelivers the message.
        requeue: bool,
        /// The reason, for the log.
        reason: String,
    },
    /// Celery's `Ignore`: the message is acked; there is neither a result nor a failure.
    Ignore,
}

impl TaskError {
    /// Returns a failure that is shown as a Python exception: `raised("ValueError", "boom")` is
    /// `ValueError('boom')`.
    pub fn raised(kind: &str, message: impl Into<String>) -> Self {
        Self::Failed(Exception::new(kind, message))
    }

    /// Returns the failure of a Python task that does not catch its soft time limit: `SoftTimeLimitExceeded()`.
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
    /// When to run again; `None` means after the task's `default_retry_delay`.
    pub when: Option<When>,
    /// The reason; the task also fails with it when it has reached its maximum of retries.
    pub exception: Option<Exception>,
    /// Maximum number of retries, for this run; `None` means the maximum in the task's options.
    pub max_retries: Option<u32>,
}

impl Retry {
    /// Sets the delay (`countdown`).
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self {
            when: Some(When::In(delay)),
            ..self
        }
    }

    /// Sets the time (`eta`).
    #[must_use]
    pub fn at(self, eta: Timestamp) -> Self {
        Self {
            when: Some(When::At(eta)),
            ..self
        }
    }
}

/// A relative or absolute time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After this delay.
    In(Duration),
    /// At this time.
    At(Timestamp),
}

impl fmt::Display for When {
    /// Writes the time as Celery's `Retry.humanize`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(delay) => write!(f, "in {}s", seconds(*delay)),
            Self::At(eta) => write!(f, "at {}", IsoTime::from(*eta).isoformat().replacen('T', " ", 1)),
        }
    }
}

/// The way in which a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The task returned a result.
    Succeeded(Value),
    /// The task failed or panicked.
    Failed(Exception),
    /// The task failed because its hard time limit, in seconds, had passed.
    TimedOut(f64),
    /// The task ended with Celery's `Retry` and will run again.
    Retried {
        /// When it will run again.
        when: When,
        /// The reason, if the task has given one.
        exception: Option<Exception>,
    },
    /// The task ended with Celery's `Reject`.
    Rejected {
        /// Whether the broker redelivers the message.
        requeue: bool,
        /// The reason, for the log.
        reason: String,
    },
    /// The task ended with Celery's `Ignore`.
    Ignored,
}

impl Outcome {
    /// Returns whether the outcome is a final failure in Celery's view: `Reject` is one, unless the message is
    /// requeued.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Failed(_) | Self::TimedOut(_) | Self::Rejected { requeue: false, .. }
        )
    }

    /// Returns whether the outcome is final, whether a success or a failure.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded(_)) || self.is_failure()
    }
}

/// Returns seconds as Python prints the number: `2`, `30.5`.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        duration.as_secs().to_string()
    } else {
        Value::Float(duration.as_secs_f64()).py_repr()
    }
}
