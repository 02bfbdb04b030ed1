//! The target of a `Location` header, as resolved by `requests` (behaviour 3).

use super::destination::CallbackUrl;
use super::escape::requote;
use super::join::{join, unsplit, without_empty_parameters};
use super::split::{Split, SplitError, cleaned, split};
use super::unsendable::Unsendable;
use crate::python_text::repr;

/// The reason why a redirect cannot be followed. The text is Python's, if Python has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// The header is not UTF-8.
    #[error("redirect location is not UTF-8")]
    NotUtf8,
    /// The header, or the resolved URL, cannot be split into its parts.
    #[error(transparent)]
    Unreadable(#[from] SplitError),
    /// The scheme of the target is neither `http` nor `https`.
    #[error("No connection adapters were found for {}", repr(.url))]
    OtherScheme {
        /// The target.
        url: String,
    },
    /// No request can be sent to the target.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
}

impl CallbackUrl {
    /// Returns the target of a non-empty `Location` header in the answer to a request for this URL.
    ///
    /// It is not validated by behaviour 1: single labels, `127.1` and the like are allowed. It has no credentials, even
    /// if the header contains some; the caller decides whether to send those of this URL.
    ///
    /// # Errors
    ///
    /// If the redirect cannot be followed.
    pub fn redirect(&self, location: &[u8]) -> Result<Self, RedirectError> {
        let location = str::from_utf8(location).map_err(|_| RedirectError::NotUtf8)?;
        let absolute;
        let location = if location.starts_with("//") {
            absolute = format!("{}:{location}", self.scheme());
            &absolute
        } else {
            location
        };
        let location = cleaned(location);
        let parts = split(&location)?;
        let has_authority = !parts.authority.is_empty();
        let fragment = if parts.fragment.is_empty() {
            self.fragment()
        } else {
            parts.fragment
        };
        let url = unsplit(&Split {
            path: without_empty_parameters(&parts.scheme, parts.path),
            fragment,
            ..parts
        });
        let url = requote(&url);
        let url = if has_authority {
            url
        } else {
            join(&self.url, &url)?
        };
        if !is_web(&url) {
            return Err(RedirectError::OtherScheme { url });
        }
        Ok(Self::read(url)?)
    }
}

fn is_web(url: &str) -> bool {
    let starts_with = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts_with("https://") || starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::super::sendable;

    /// Checks the scheme, host, port and target of the next request, or the text that is recorded.
    fn check(from: &str, location: &[u8], expected: &str) {
        let seen = match sendable(from).redirect(location) {
            Ok(url) => format!(
                "{}://{} {}",
                url.scheme(),
                url.host_header(),
                url.request_target()
            ),
            Err(error) => error.to_string(),
        };
        assert_eq!(seen, expected, "{}", String::from_utf8_lossy(location));
    }

    #[test]
    fn relative_references() {
        let from = "http://a.bc:81/x/y;p?q=1#f";
        check(from, b"z", "http://a.bc:81 /x/z");
        check(from, b"/z w", "http://a.bc:81 /z%20w");
        check(from, b"?r=2", "http://a.bc:81 /x/y;p?r=2");
        check(from, "../é".as_bytes(), "http://a.bc:81 /%C3%A9");
        check(from, b"//other/z", "http://other /z");
        check(from, b"https:z", "No host specified.");
    }

    #[test]
    fn targets_are_not_validated() {
        for target in ["localhost", "2130706433", "127.1", "[::1]", "a_b", "a.bc."] {
            let expected = format!("http://{}:9 /x", target.trim_end_matches('.'));
            check(
                "http://a.bc/",
                format!("http://{target}:9/x").as_bytes(),
                &expected,
            );
        }
        check(
            "http://a.bc/",
            b"HTTPS://EXAMPLE.com:443/%41%zz",
            "https://example.com /%2541%25zz",
        );
    }

    #[test]
    fn tabs_are_removed_and_two_locations_are_one() {
        check(
            "http://a.bc/",
            b"http://x/\ta\tb, http://y/",
            "http://x /ab,%20http://y/",
        );
    }

    #[test]
    fn what_cannot_be_followed() {
        check(
            "http://a.bc/",
            b"ftp://x/'",
            "No connection adapters were found for \"ftp://x/'\"",
        );
        check(
            "http://a.bc/",
            b"http:///x/\xFF",
            "redirect location is not UTF-8",
        );
        check("http://a.bc/", b"http://[::1", "Invalid IPv6 URL");
        check(
            "http://a.bc/",
            b"http://x:y/",
            "Port could not be cast to integer value as 'y'",
        );
        check("http://a.bc/", b"http://x:65536/", "Port out of range 0-65535");
        let control = "Failed to parse: Host 'x%00' contains invalid percent-encoded control character '%00'";
        check("http://a.bc/", b"http://x%00/", control);
        check("http://a.bc/", b"http://u@/x", "No host specified.");
    }

    #[test]
    fn other_schemes_are_shown_as_python_shows_them() {
        for (location, url) in [
            ("file:///x", "file:///x"),
            ("file:/x", "file:///x"),
            ("FILE:x y;", "file:///x%20y;"),
            ("file:////x", "file://x"),
            ("ftp:x;", "ftp:///x"),
            ("rtsp:x;/y;", "rtsp:///x;/y"),
            ("wss:?a", "wss://?a"),
            ("tel:1;", "tel:1"),
            ("javascript:alert(1);", "javascript:alert(1);"),
            ("foo:?", "foo:"),
        ] {
            let expected = format!("No connection adapters were found for '{url}'");
            check("http://a.bc/", location.as_bytes(), &expected);
        }
    }

    #[test]
    fn credentials_in_a_location_are_not_used() {
        let url = sendable("http://u:p@a.bc/")
            .redirect(b"http://v:q@a.bc/")
            .unwrap();
        assert_eq!(url.authorization(), None);
    }
}
