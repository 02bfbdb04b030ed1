//! The check of HTTP URLs in variables.

use hyper::Uri;

/// Returns whether this is a URL with a host and one of these schemes.
pub(super) fn is_http(url: &str, schemes: &[&str]) -> bool {
    url.parse::<Uri>().is_ok_and(|url| {
        url.host().is_some_and(|host| !host.is_empty())
            && url.scheme_str().is_some_and(|scheme| schemes.contains(&scheme))
    })
}
