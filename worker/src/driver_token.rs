//! Driver tokens: which ones are valid, and how one stands in a URL.

use celery_protocol::Text;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// As many characters decide; what follows them is not looked at (behaviour 2).
const DECISIVE: usize = 20;

/// What RFC 3986 does not allow in a path segment, and `%` itself.
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

/// Whether the first 20 characters are each one of `A-Z a-z 0-9 - . _ ~`.
pub fn is_valid(token: &Text) -> bool {
    let decisive = token.as_wtf8().get(..DECISIVE);
    decisive.is_some_and(|bytes| bytes.iter().all(|byte| is_unreserved(*byte)))
}

/// The token as exactly one segment of a URL's path, whatever it holds. Python pastes it in as it is, and so asks about
/// another token where this one has `%`, `/`, `?` or `#` in it.
pub fn path_segment(token: &Text) -> String {
    percent_encode(token.as_wtf8(), NOT_IN_A_SEGMENT).to_string()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
