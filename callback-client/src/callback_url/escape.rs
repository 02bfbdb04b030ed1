//! Percent escapes, encoded and decoded as by `requests` and urllib3.

use std::fmt::Write as _;

/// Returns whether the byte is allowed unescaped in the user part of a URL.
pub(super) fn is_user_info_byte(b: u8) -> bool {
    is_unreserved(b) || b"!$&'()*+,;=:".contains(&b)
}

/// Returns whether the byte is allowed unescaped in a path.
pub(super) fn is_path_byte(b: u8) -> bool {
    is_user_info_byte(b) || matches!(b, b'@' | b'/')
}

/// Returns whether the byte is allowed unescaped in a query or a fragment.
pub(super) fn is_query_byte(b: u8) -> bool {
    is_path_byte(b) || b == b'?'
}

pub(super) fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

/// Escapes every byte that is not `allowed` (urllib3's `_encode_invalid_chars`). Existing escapes are kept,
/// in upper case, unless any `%` does not begin an escape: then every `%` is taken literally.
pub(super) fn escape(component: &[u8], allowed: fn(u8) -> bool) -> String {
    let has_stray_percent = component
        .iter()
        .enumerate()
        .any(|(at, &b)| b == b'%' && escaped_byte(&component[at..]).is_none());
    let mut escaped = String::with_capacity(component.len());
    let mut at = 0;
    while let Some(&b) = component.get(at) {
        at += 1;
        if b != b'%' && allowed(b) {
            escaped.push(char::from(b));
        } else if b == b'%' && !has_stray_percent {
            escaped.push('%');
        } else {
            push_escape(&mut escaped, b);
        }
        if b == b'%' && escaped_byte(&component[at - 1..]).is_some() {
            escaped.extend(
                component[at..at + 2]
                    .iter()
                    .map(|digit| char::from(digit.to_ascii_uppercase())),
            );
            at += 2;
        }
    }
    escaped
}

/// Converts a whole URL to the form for sending (`requests.utils.requote_uri`): escapes of unreserved characters are
/// decoded, and characters that are not allowed in a URL are escaped. If a `%` is followed by two letters or digits
/// that are not a hexadecimal number, every `%` of the URL is taken literally.
pub(super) fn requote(url: &str) -> String {
    let (url, keep_percent) = match undo_unreserved(url) {
        Some(url) => (url, true),
        None => (url.to_owned(), false),
    };
    let mut quoted = String::with_capacity(url.len());
    for b in url.bytes() {
        let is_safe = is_unreserved(b) || b"!#$&'()*+,/:;=?@[]".contains(&b) || b == b'%' && keep_percent;
        if is_safe {
            quoted.push(char::from(b));
        } else {
            push_escape(&mut quoted, b);
        }
    }
    quoted
}

/// Decodes the escapes of unreserved characters; returns `None` if `requests.utils.unquote_unreserved` finds an invalid
/// escape.
fn undo_unreserved(url: &str) -> Option<String> {
    let mut parts = url.split('%');
    let mut undone = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut characters = part.chars();
        let (first, second) = (characters.next(), characters.next());
        let byte = match (first, second) {
            (Some(a), Some(b)) if a.is_alphanumeric() && b.is_alphanumeric() => Some(hex_byte(a, b)?),
            _ => None,
        };
        if let Some(byte) = byte.filter(|&byte| is_unreserved(byte)) {
            undone.push(char::from(byte));
            undone.push_str(characters.as_str());
        } else {
            undone.push('%');
            undone.push_str(part);
        }
    }
    Some(undone)
}

/// Returns the byte of the escape at the start of `text`, if there is one.
pub(super) fn escaped_byte(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => hex_byte(char::from(*high), char::from(*low)),
        _ => None,
    }
}

fn hex_byte(high: char, low: char) -> Option<u8> {
    u8::try_from(high.to_digit(16)? << 4 | low.to_digit(16)?).ok()
}

fn push_escape(text: &mut String, b: u8) {
    // Writing to a `String` cannot fail.
    let _ = write!(text, "%{b:02X}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_component_are_kept_or_all_taken_literally() {
        assert_eq!(escape(b"/%41%c3 x", is_path_byte), "/%41%C3%20x");
        assert_eq!(escape(b"/%41%c3%zz", is_path_byte), "/%2541%25C3%25zz");
        assert_eq!(escape(b"100%", is_query_byte), "100%25");
        assert_eq!(escape(b"%%41", is_query_byte), "%25%2541");
        assert_eq!(
            escape(b"a?[]\\^|'\xED\xA0\x80", is_query_byte),
            "a?%5B%5D%5C%5E%7C'%ED%A0%80"
        );
    }

    #[test]
    fn requoting_undoes_what_needs_no_escape() {
        assert_eq!(requote("http://x/%41%7e%2f%c3 é"), "http://x/A~%2f%c3%20%C3%A9");
        assert_eq!(requote("/%zz%41"), "/%25zz%2541");
        assert_eq!(requote("/%2"), "/%2");
        assert_eq!(requote("/%"), "/%");
        assert_eq!(requote("/%4"), "/%4");
    }
}
