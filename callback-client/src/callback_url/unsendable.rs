//! What `requests` raises for a valid URL that it cannot send to.

/// A URL that `requests` cannot send to; the `Display` is the text of its exception.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unsendable {
    pub(super) text: String,
}

impl Unsendable {
    /// urllib3's `LocationParseError`.
    pub(super) fn unparsable(why: &str) -> Self {
        Self {
            text: format!("Failed to parse: {why}"),
        }
    }
}
