//! The reason why a message is not run, and what Celery then does with it (contract E.2).

/// The reason why a message cannot be decoded into a task. `Display` is the line that Celery logs, except that parts of
/// the body and of the arguments are left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body cannot be unpacked or decoded. The message is acked, so that it cannot loop.
    #[error("Can't decode message body: {exception} [{context}]")]
    Undecodable {
        /// Python's exception, as `repr()` shows it.
        exception: String,
        /// Content type, encoding and headers.
        context: String,
    },
    /// The message is a task, but its content type is not JSON. Rejected.
    #[error("Received invalid task message: {refusal}")]
    Disallowed {
        /// Python's text, which names the content type.
        refusal: String,
    },
    /// The same, without the header `task`. Acked.
    #[error("Can't decode message body: ContentDisallowed('{refusal}') [{context}]")]
    DisallowedUnidentified {
        /// Python's text, which names the content type.
        refusal: String,
        /// Content type, encoding and headers.
        context: String,
    },
    /// The message has neither a header `task` nor a body that is an object with `task`. Rejected.
    #[error("Received and deleted unknown message.  Wrong destination?!?")]
    NotATask,
    /// A part of the task is not valid: an unreadable `eta`, or keyword arguments that are not an object. Rejected.
    #[error("Received invalid task message: {why}")]
    Invalid {
        /// The mistake.
        why: String,
    },
    /// The message stops a Python worker, and the next one to which it returns: the body is not a list of three, there
    /// is no `id`, or the time limits are not a pair. Rejected.
    #[error("Received invalid task message: {why}")]
    Poison {
        /// The mistake.
        why: String,
    },
}

/// The broker action for a refused message, which never returns to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `basic.ack`
    Ack,
    /// `basic.reject(requeue=false)`: to the dead letter exchange if the queue has one.
    Reject,
}

/// The level at which Celery logs a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Python's `CRITICAL`.
    Critical,
    /// `ERROR`.
    Error,
    /// `WARNING`.
    Warning,
}

impl DecodeError {
    /// Returns the broker action.
    pub fn settlement(&self) -> Refusal {
        match self {
            DecodeError::Undecodable { .. } | DecodeError::DisallowedUnidentified { .. } => Refusal::Ack,
            DecodeError::Disallowed { .. }
            | DecodeError::NotATask
            | DecodeError::Invalid { .. }
            | DecodeError::Poison { .. } => Refusal::Reject,
        }
    }

    /// Returns the log level.
    pub fn level(&self) -> Level {
        match self {
            DecodeError::Undecodable { .. } | DecodeError::DisallowedUnidentified { .. } => Level::Critical,
            DecodeError::Disallowed { .. } | DecodeError::Invalid { .. } | DecodeError::Poison { .. } => {
                Level::Error
            }
            DecodeError::NotATask => Level::Warning,
        }
    }

    pub(crate) fn invalid(why: impl Into<String>) -> DecodeError {
        DecodeError::Invalid { why: why.into() }
    }

    pub(crate) fn poison(why: impl Into<String>) -> DecodeError {
        DecodeError::Poison { why: why.into() }
    }
}
