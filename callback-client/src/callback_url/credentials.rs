//! Basic credentials from the user part of a URL (behaviour 3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// Returns the `Authorization` header for the authority of a prepared URL.
///
/// There is none for a user without a colon, or if user and password are empty. Credentials are sent in latin-1, as in
/// Python, if latin-1 has all their characters. If it does not, Python loses the request; we send the bytes as they are
/// in the URL, in UTF-8.
pub(super) fn basic_authorization(authority: &str) -> Option<String> {
    let (user_info, _) = authority.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':')?;
    if user.is_empty() && password.is_empty() {
        return None;
    }
    let mut credentials: Vec<u8> = percent_decode_str(user).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(password));
    let credentials = latin_1(&credentials).unwrap_or(credentials);
    Some(format!("Basic {}", STANDARD.encode(credentials)))
}

fn latin_1(utf8: &[u8]) -> Option<Vec<u8>> {
    str::from_utf8(utf8)
        .ok()?
        .chars()
        .map(|c| u8::try_from(c).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authority: &str, expected: Option<&[u8]>) {
        let sent = basic_authorization(authority)
            .map(|header| STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap());
        assert_eq!(sent.as_deref(), expected, "{authority}");
    }

    #[test]
    fn a_colon_makes_credentials() {
        check("h", None);
        check("user@h", None);
        check(":@h", None);
        check("user:@h", Some(b"user:"));
        check(":pass@h", Some(b":pass"));
        check("u%3As:p:q%40@h", Some(b"u:s:p:q@"));
    }

    #[test]
    fn latin_1_where_it_can_be_and_utf_8_where_not() {
        check("%C3%A9:%C3%BF@h", Some(b"\xE9:\xFF"));
        check("%C3%A9:%E2%82%AC@h", Some("é:€".as_bytes()));
        check("u:%FF@h", Some(b"u:\xFF"));
    }
}
