//! Driver tokens: their validity, and their form in a URL.

use celery_protocol::Text;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// The number of characters that decide whether a token is valid; the rest is ignored (behaviour 2).
const DECISIVE: usize = 20;

/// The characters that RFC 3986 does not allow in a path segment, and `%` itself.
const NOT_IN_A_SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Returns whether each of the first 20 characters is one of `A-Z a-z 0-9 - . _ ~`.
pub fn is_valid(token: &Text) -> bool {
    let decisive = token.as_wtf8().get(..DECISIVE);
    decisive.is_some_and(|bytes| bytes.iter().all(|byte| is_unreserved(*byte)))
}

/// Returns the token as exactly one segment of a URL's path, whatever it contains. Python inserts it unchanged, and so
/// asks about another token if this one contains `%`, `/`, `?` or `#`.
pub fn path_segment(token: &Text) -> String {
    percent_encode(token.as_wtf8(), NOT_IN_A_SEGMENT).to_string()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
