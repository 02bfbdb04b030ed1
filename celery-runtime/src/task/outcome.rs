//! What a task gives back, and how its run ended.

use std::fmt;
use std::time::Duration;

use celery_protocol::{IsoTime, Value};
use jiff::Timestamp;

use super::exception::Exception;

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
            Self::In(delay) => write!(f, "in {}s", seconds(*delay)),
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

/// Seconds as Python prints the number: `2`, `30.5`.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        duration.as_secs().to_string()
    } else {
        Value::Float(duration.as_secs_f64()).py_repr()
    }
}
