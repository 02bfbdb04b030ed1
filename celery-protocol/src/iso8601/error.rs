//! The reason why a text is not a time.

/// The reason why a text is not a time. The message is Python's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IsoError(String);

impl IsoError {
    pub(super) fn new(text: impl Into<String>) -> IsoError {
        IsoError(text.into())
    }
}
