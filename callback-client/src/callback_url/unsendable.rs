//! The exception of `requests` for a valid URL to which it cannot send.

/// The error for a URL to which `requests` cannot send; its `Display` is the text of the exception.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unsendable {
    pub(super) text: String,
}

impl Unsendable {
    /// Returns urllib3's `LocationParseError`.
    pub(super) fn unparsable(why: &str) -> Self {
        Self {
            text: format!("Failed to parse: {why}"),
        }
    }
}
