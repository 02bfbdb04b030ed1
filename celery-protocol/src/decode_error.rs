//! Why a message is not run, and what Celery does with it then (contract E.2).

/// A message that cannot be made a task. `Display` is the line that Celery logs, except that parts of the body and of the
/// arguments are left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body cannot be unpacked or decoded. Acked, so that it cannot loop.
    #[error("Can't decode message body: {exception} [{context}]")]
    Undecodable {
        /// Python's exception, as `repr()` shows it.
        exception: String,
        /// Content type, encoding and headers.
        context: String,
    },
    /// A task, but of a content type other than JSON. Rejected.
    #[error("Received invalid task message: {refusal}")]
    Disallowed {
        /// Python's text, which names the content type.
        refusal: String,
    },
    /// The same without the header `task`. Acked.
    #[error("Can't decode message body: ContentDisallowed('{refusal}') [{context}]")]
    DisallowedUnidentified {
        /// Python's text, which names the content type.
        refusal: String,
        /// Content type, encoding and headers.
        context: String,
    },
    /// Neither a header `task` nor a body that is an object with `task`. Rejected.
    #[error("Received and deleted unknown message.  Wrong destination?!?")]
    NotATask,
    /// A task with a part that cannot be: an unreadable `eta`, keyword arguments that are no object. Rejected.
    #[error("Received invalid task message: {why}")]
    Invalid {
        /// What is wrong.
        why: String,
    },
    /// A message that stops a Python worker, and the next one to which it returns: the body is no list of three, there is
    /// no `id`, the time limits are no pair. Rejected.
    #[error("Received invalid task message: {why}")]
    Poison {
        /// What is wrong.
        why: String,
    },
}

/// What becomes of a message that is refused; it is never put back into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `basic.ack`
    Ack,
    /// `basic.reject(requeue=false)`: to the dead letter exchange if the queue has one.
    Reject,
}

/// At which level Celery logs a refusal.
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
    /// The broker action.
    pub fn settlement(&self) -> Refusal {
        match self {
            DecodeError::Undecodable { .. } | DecodeError::DisallowedUnidentified { .. } => Refusal::Ack,
            DecodeError::Disallowed { .. }
            | DecodeError::NotATask
            | DecodeError::Invalid { .. }
            | DecodeError::Poison { .. } => Refusal::Reject,
        }
    }

    /// The log level.
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
