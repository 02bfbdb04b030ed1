//! What the caller is told.

use std::fmt;

/// The `status` of a callback and of its audit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The driver may charge at the station.
    Allowed,
    /// The driver may not.
    NotAllowed,
    /// The request makes no sense: station, token or callback URL is not valid.
    Invalid,
    /// Nobody knows: the time was up, or the ACL service gave no usable answer.
    Unknown,
}

impl Verdict {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::NotAllowed => "not_allowed",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }

    /// The verdict of this word.
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
