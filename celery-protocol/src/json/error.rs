//! The reason why a body is not JSON that Celery accepts.

use std::str::Utf8Error;

use super::limits::{MAX_DEPTH, MAX_INT_DIGITS};
use crate::literal::str_repr;

/// The reason why a body cannot be decoded. The `Display` text describes the mistake and its place, but never quotes
/// the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The bytes are not UTF-8.
    #[error("not UTF-8: {reason} at byte {start}")]
    Utf8 {
        /// The first invalid byte.
        start: usize,
        /// The byte after the last invalid one.
        end: usize,
        /// Python's description.
        reason: &'static str,
    },
    /// The text is not JSON, in Python's words.
    #[error("{message}: line {line} column {column} (char {position})")]
    Syntax {
        /// A text such as `Expecting value`.
        message: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in code points.
        column: usize,
        /// Counted from 0, in code points.
        position: usize,
    },
    /// The nesting is deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An integer has more than [`MAX_INT_DIGITS`] digits.
    #[error("an integer of {digits} digits, more than the {MAX_INT_DIGITS} that Python reads")]
    IntTooLong {
        /// Its number of digits.
        digits: usize,
    },
    /// An object with `__type__` and `__value__` that kombu cannot convert.
    #[error("{exception}: {text}")]
    Typed {
        /// The class of Python's exception.
        exception: &'static str,
        /// The arguments of Python's exception, as `repr()` shows them.
        text: String,
    },
}

impl JsonError {
    pub(super) fn utf8(bytes: &[u8], error: Utf8Error) -> JsonError {
        let start = error.valid_up_to();
        let lead = bytes.get(start).copied().unwrap_or_default();
        let (end, reason) = match error.error_len() {
            None => (bytes.len(), "unexpected end of data"),
            Some(length) if (0xC2..=0xF4).contains(&lead) => (start + length, "invalid continuation byte"),
            Some(length) => (start + length, "invalid start byte"),
        };
        JsonError::Utf8 { start, end, reason }
    }

    pub(super) fn syntax(message: impl Into<String>, text: &str, byte: usize) -> JsonError {
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        JsonError::Syntax {
            message: message.into(),
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            position: before.chars().count(),
        }
    }

    pub(super) fn typed(exception: &'static str, message: &str) -> JsonError {
        JsonError::Typed {
            exception,
            text: str_repr(message),
        }
    }

    /// Returns the exception that Python raises, as `repr()` shows it. Parts of the body are replaced by `...`, because
    /// they may be secret.
    pub fn py_repr(&self) -> String {
        match self {
            JsonError::Utf8 { start, end, reason } => {
                format!("UnicodeDecodeError('utf-8', b'...', {start}, {end}, '{reason}')")
            }
            JsonError::Syntax { .. } => format!("JSONDecodeError({})", str_repr(&self.to_string())),
            JsonError::TooDeep => {
                "RecursionError('maximum recursion depth exceeded while decoding a JSON array from a unicode string')".to_owned()
            }
            JsonError::IntTooLong { digits } => format!(
                "ValueError('Exceeds the limit ({MAX_INT_DIGITS} digits) for integer string conversion: value has {digits} \
                 digits; use sys.set_int_max_str_digits() to increase the limit')"
            ),
            JsonError::Typed { exception, text } => format!("{exception}({text})"),
        }
    }
}
