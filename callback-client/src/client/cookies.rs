//! The cookies of one callback: those that a redirect sets are sent to the next hops and then discarded (behaviour 3).

/// The cookies that have been set so far.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    cookies: Vec<Cookie>,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    subdomains: bool,
    path: String,
    secure: bool,
}

impl Cookies {
    /// Stores the cookie of a `Set-Cookie` header in the answer to a request for `path` at `host`.
    pub(super) fn set(&mut self, host: &str, path: &str, header: &str) {
        let mut parts = header.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let mut cookie = Cookie {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            domain: host.to_owned(),
            subdomains: false,
            path: default_path(path).to_owned(),
            secure: false,
        };
        let mut removed = false;
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "secure" => cookie.secure = true,
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "max-age" => removed = value.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0),
                "domain" => {
                    let domain = value.trim().trim_start_matches('.').to_ascii_lowercase();
                    if !is_within(host, &domain) || !domain.contains('.') {
                        return;
                    }
                    cookie.domain = domain;
                    cookie.subdomains = true;
                }
                _ => {}
            }
        }
        self.cookies.retain(|old| {
            (&old.name, &old.domain, &old.path) != (&cookie.name, &cookie.domain, &cookie.path)
        });
        if !removed {
            self.cookies.push(cookie);
        }
    }

    /// Returns the `Cookie` header for a request, with the longest path first; `None` if there is no cookie to send.
    pub(super) fn header(&self, tls: bool, host: &str, path: &str) -> Option<String> {
        let mut sent: Vec<&Cookie> = self
            .cookies
            .iter()
            .filter(|cookie| tls || !cookie.secure)
            .filter(|cookie| cookie.domain == host || cookie.subdomains && is_within(host, &cookie.domain))
            .filter(|cookie| covers(&cookie.path, path))
            .collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = sent
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn covers(cookie_path: &str, path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_goes_back_to_its_host_and_path() {
        let mut cookies = Cookies::default();
        cookies.set("cb.test", "/a/start", "x=1");
        cookies.set("cb.test", "/a/start", "y=2; Path=/");
        assert_eq!(
            cookies.header(false, "cb.test", "/a/next").as_deref(),
            Some("x=1; y=2")
        );
        assert_eq!(cookies.header(false, "cb.test", "/ab").as_deref(), Some("y=2"));
        assert_eq!(cookies.header(false, "other.test", "/a/next"), None);
    }

    #[test]
    fn secure_cookies_need_tls() {
        let mut cookies = Cookies::default();
        cookies.set("cb.test", "/", "x=1; Secure");
        assert_eq!(cookies.header(false, "cb.test", "/"), None);
        assert_eq!(cookies.header(true, "cb.test", "/").as_deref(), Some("x=1"));
    }

    #[test]
    fn a_domain_covers_subdomains_and_only_the_own_one_is_taken() {
        let mut cookies = Cookies::default();
        cookies.set("a.cb.test", "/", "x=1; Domain=.cb.test");
        cookies.set("a.cb.test", "/", "y=1; Domain=other.test");
        cookies.set("a.cb.test", "/", "z=1; Domain=test");
        assert_eq!(cookies.header(false, "b.cb.test", "/").as_deref(), Some("x=1"));
    }

    #[test]
    fn max_age_zero_removes() {
        let mut cookies = Cookies::default();
        cookies.set("cb.test", "/", "x=1");
        cookies.set("cb.test", "/", "x=; Max-Age=0");
        assert_eq!(cookies.header(false, "cb.test", "/"), None);
    }
}
