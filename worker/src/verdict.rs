//! The verdict that is sent to the caller.

use std::fmt;

/// The `status` of a callback and of its audit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The driver may charge at the station.
    Allowed,
    /// The driver may not charge at the station.
    NotAllowed,
    /// The station, the token or the callback URL is not valid.
    Invalid,
    /// There is no decision: the time was up, or the ACL service gave no usable answer.
    Unknown,
}

impl Verdict {
    /// Returns the word that is sent and recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::NotAllowed => "not_allowed",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the verdict with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Allowed, Self::NotAllowed, Self::Invalid, Self::Unknown]
            .into_iter()
            .find(|verdict| verdict.as_str() == word)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
