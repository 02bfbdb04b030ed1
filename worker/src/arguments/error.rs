//! The exception that Python raises for wrong arguments.

/// The exception that Python raises for wrong arguments; the task fails with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct ArgumentError {
    /// The exception's class, such as `TypeError`.
    pub class: &'static str,
    /// Its text.
    pub message: String,
}

impl ArgumentError {
    pub(super) fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }

    pub(super) fn type_error(message: impl Into<String>) -> Self {
        Self::new("TypeError", message)
    }
}
