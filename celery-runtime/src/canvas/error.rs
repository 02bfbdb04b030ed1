//! Errors in the signatures that follow a task.

use crate::task::exception::Exception;

/// The reason why a signature cannot be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum CanvasError {
    /// It is not a signature in Celery's sense.
    #[error("{0}")]
    Malformed(String),
    /// Its objects and arrays are nested too deeply.
    #[error("a signature is nested deeper than {levels} levels")]
    TooDeep { levels: usize },
    /// It nests too many groups, chains and chords.
    #[error("a signature nests {levels} groups, chains and chords, more than {most}")]
    TooNested { levels: usize, most: usize },
    /// The messages together would take too much memory.
    #[error("the messages together would take more than {} MiB", .most / (1024 * 1024))]
    TooLarge { most: usize },
}

impl CanvasError {
    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }

    /// Returns the exception that the task fails with.
    pub(crate) fn exception(&self) -> Exception {
        Exception::new(
            "ValueError",
            format!("cannot send the messages that follow the task: {self}"),
        )
    }
}
