//! What a task gets and what it gives back.

use std::fmt;
use std::sync::Arc;

use celery_protocol::{TaskMessage, Value};

/// A task message on its way through the worker: Celery's `Request`, as the task sees it.
#[derive(Debug, Clone)]
pub struct Request {
    message: Arc<TaskMessage>,
    redelivered: bool,
}

impl Request {
    /// `redelivered` is the broker's word that it has delivered this message before.
    pub fn new(message: TaskMessage, redelivered: bool) -> Self {
        Self {
            message: Arc::new(message),
            redelivered,
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
        self.redelivered
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
    /// The task failed: Celery's `raised unexpected`. Acked all the same (contract E.1).
    Failed(Exception),
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
        Self::Failed(Exception {
            kind: kind.to_owned(),
            message: message.into(),
        })
    }
}

/// A failure in the form in which Celery's tools show one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The class name, `ValueError`.
    pub kind: String,
    /// Its text.
    pub message: String,
}

impl fmt::Display for Exception {
    /// Python's `repr` of the exception, as in `task-failed` events and log lines (contract C.3, E.6).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}({})",
            self.kind,
            Value::from(self.message.as_str()).py_repr()
        )
    }
}

/// How a run ended, as a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result.
    Succeeded(Value),
    /// With a failure, a panic included.
    Failed(Exception),
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

impl From<TaskResult> for Outcome {
    fn from(result: TaskResult) -> Self {
        match result {
            Ok(value) => Self::Succeeded(value),
            Err(TaskError::Failed(exception)) => Self::Failed(exception),
            Err(TaskError::Reject { requeue, reason }) => Self::Rejected { requeue, reason },
            Err(TaskError::Ignore) => Self::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_read_as_python_prints_them() {
        let TaskError::Failed(exception) = TaskError::raised("ValueError", "it's") else {
            panic!()
        };
        assert_eq!(exception.to_string(), r#"ValueError("it's")"#);
    }
}
