//! Slices and numbers as Python reads them.

use super::error::IsoError;
use crate::literal::bytes_repr;

/// Parses like Python's `int(bytes)`: blanks around the number, a sign and single underscores inside it are allowed.
pub(super) fn int(bytes: &[u8]) -> Result<i32, IsoError> {
    let refused = || {
        IsoError::new(format!(
            "invalid literal for int() with base 10: {}",
            bytes_repr(bytes)
        ))
    };
    let digits = bytes.trim_ascii();
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, digits),
    };
    let mut number: i32 = 0;
    let mut after_digit = false;
    for byte in digits {
        match byte {
            b'0'..=b'9' => number = number * 10 + i32::from(byte - b'0'),
            b'_' if after_digit => {}
            _ => return Err(refused()),
        }
        after_digit = *byte != b'_';
    }
    if !after_digit {
        return Err(refused());
    }
    Ok(if negative { -number } else { number })
}

/// Python's `bytes[from:to]`.
pub(super) fn slice(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    let to = to.min(bytes.len());
    bytes.get(from.min(to)..to).unwrap_or_default()
}
