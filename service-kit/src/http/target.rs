//! A request target, read as Werkzeug's development server reads it (behaviour 6), except that raw UTF-8 is
//! read as UTF-8 here.

use std::borrow::Cow;
use std::fmt::Write as _;

use axum::http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The characters that Werkzeug does not escape in the path of a redirect.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// A decoded path and a query that is not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'u> {
    path: String,
    query: &'u str,
}

/// The result of looking up a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved<T> {
    /// The result of the route.
    Found(T),
    /// The path would be found if its repeated slashes were merged: path and query to redirect the client to.
    Redirect(String),
    /// Nothing was found.
    NotFound,
}

impl<'u> Target<'u> {
    /// Decodes the path once. Slashes at its start count as one.
    pub fn new(uri: &'u Uri) -> Self {
        let path = unquote(uri.path(), |decoded, _| decoded.push('\u{fffd}'));
        Self {
            path: path.trim_start_matches('/').to_owned(),
            query: uri.query().unwrap_or_default(),
        }
    }

    /// Returns the decoded path without its first slashes.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Looks up the path. `route` gets the decoded segments; an escaped slash
    /// separates segments like any other.
    pub fn resolve<T>(&self, route: impl Fn(&[&str]) -> Option<T>) -> Resolved<T> {
        if let Some(found) = route(&segments(&self.path)) {
            return Resolved::Found(found);
        }
        let mut merged = self.path.clone();
        while merged.contains("//") {
            merged = merged.replace("//", "/");
        }
        if merged == self.path || route(&segments(&merged)).is_none() {
            return Resolved::NotFound;
        }
        let mut location = format!("/{}", utf8_percent_encode(&merged, PATH));
        if !self.query.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(location, "?{}", utf8_percent_encode(self.query, CONTROLS));
        }
        Resolved::Redirect(location)
    }

    /// Returns the first value of a query parameter: `+` is a space, escapes that are not UTF-8 stay
    /// as they are, and a name without `=` has an empty value.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .filter(|field| !field.is_empty())
            .find_map(|field| {
                let (key, value) = field.split_once('=').unwrap_or((field, ""));
                (query_text(key) == name).then(|| query_text(value))
            })
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').collect()
}

fn query_text(text: &str) -> String {
    unquote(&text.replace('+', " "), |decoded, invalid| {
        for byte in invalid {
            // Writing to a String cannot fail.
            let _ = write!(decoded, "%{byte:02X}");
        }
    })
}

/// Decodes like Python's `urllib.parse.unquote`: bytes that are not UTF-8 go to `on_invalid`, and an escape
/// never completes a character that is not escaped.
fn unquote(text: &str, on_invalid: impl Fn(&mut String, &[u8])) -> String {
    let mut decoded = String::with_capacity(text.len());
    for run in text.split_inclusive(|character: char| !character.is_ascii()) {
        match Cow::from(percent_decode_str(run)) {
            Cow::Borrowed(_) => decoded.push_str(run),
            Cow::Owned(bytes) => {
                for chunk in bytes.utf8_chunks() {
                    decoded.push_str(chunk.valid());
                    if !chunk.invalid().is_empty() {
                        on_invalid(&mut decoded, chunk.invalid());
                    }
                }
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, expected: &Resolved<&str>) {
        let uri: Uri = target.parse().unwrap();
        let route = |segments: &[&str]| match segments {
            ["a", token, "z"] if !token.is_empty() => Some((*token).to_owned()),
            _ => None,
        };
        let expected = match expected {
            Resolved::Found(token) => Resolved::Found((*token).to_owned()),
            Resolved::Redirect(location) => Resolved::Redirect(location.clone()),
            Resolved::NotFound => Resolved::NotFound,
        };
        assert_eq!(Target::new(&uri).resolve(route), expected, "{target}");
    }

    #[test]
    fn a_path_is_decoded_once_before_it_is_split() {
        check("/a/t/z", &Resolved::Found("t"));
        check("http://other.example:99/a/t/z?q", &Resolved::Found("t"));
        check("///a/t/z", &Resolved::Found("t"));
        check("/%61%2Ft/%7A", &Resolved::Found("t"));
        check("/%2Fa/t/z", &Resolved::Found("t"));
        check("/a/%252F/z", &Resolved::Found("%2F"));
        check("/a/%4/z", &Resolved::Found("%4"));
        check("/a/../z", &Resolved::Found(".."));
        check("/a/x+y/z", &Resolved::Found("x+y"));
        check(
            "/a/%C3%A9%FF%ED%A0%80é/z",
            &Resolved::Found("é\u{fffd}\u{fffd}\u{fffd}\u{fffd}é"),
        );
        for nowhere in [
            "/", "*", "/a/t/z/", "/a/t/z//", "/a//z", "/a/t/x/z", "/a/%2F/z", "/A/t/z",
        ] {
            check(nowhere, &Resolved::NotFound);
        }
    }

    #[test]
    fn repeated_slashes_lead_to_the_merged_path() {
        check("/a//t/z", &Resolved::Redirect("/a/t/z".to_owned()));
        check(
            "//a///t//z?x=%20{é",
            &Resolved::Redirect("/a/t/z?x=%20{%C3%A9".to_owned()),
        );
        check(
            "/a%2F/%22~!'()*+,:;=@%5B%25/z",
            &Resolved::Redirect("/a/%22~!'()*+,:;=@%5B%25/z".to_owned()),
        );
    }

    #[test]
    fn the_first_value_of_a_name_counts() {
        let value = |query: &str| {
            let uri: Uri = format!("/?{query}").parse().unwrap();
            Target::new(&uri).query_value("u")
        };
        assert_eq!(value("u=1&u=2"), Some("1".to_owned()));
        assert_eq!(value("&&x=0&%75=a=b"), Some("a=b".to_owned()));
        assert_eq!(value("u"), Some(String::new()));
        assert_eq!(value("u=+%2B%20"), Some(" + ".to_owned()));
        assert_eq!(
            value("u=%C3%A9%ff%ED%A0%80%zz%"),
            Some("é%FF%ED%A0%80%zz%".to_owned())
        );
        assert_eq!(value("u=%C3é"), Some("%C3é".to_owned()));
        assert_eq!(value("U=1&u[]=2&x=1;u=3"), None);
        assert_eq!(value(""), None);
    }
}
