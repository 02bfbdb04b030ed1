//! Why what follows a task cannot be sent.

use crate::task::exception::Exception;

/// Why a signature cannot be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum CanvasError {
    /// It is not what Celery calls a signature.
    #[error("{0}")]
    Malformed(String),
    /// Its objects and arrays are nested too deep.
    #[error("a signature is nested deeper than {levels} levels")]
    TooDeep { levels: usize },
    /// Too many groups, chains and chords within each other.
    #[error("a signature has {levels} groups, chains and chords within each other, more than {most}")]
    TooNested { levels: usize, most: usize },
    /// Together the messages would take too much memory.
    #[error("the messages would take more than {} MiB together", .most / (1024 * 1024))]
    TooLarge { most: usize },
}

impl CanvasError {
    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }

    /// What the task fails with.
    pub(crate) fn exception(&self) -> Exception {
        Exception::new("ValueError", format!("cannot send what follows the task: {self}"))
    }
}
