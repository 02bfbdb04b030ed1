//! The choice of a proxy for a URL, by the variables that Python's `requests` reads (behaviour 3). The caller reads the
//! variables and passes their values.

use std::fmt;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

/// The values of the proxy variables; empty if unset. They may contain passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `http_proxy` or `HTTP_PROXY`: for `http://` URLs.
    pub http: String,
    /// `https_proxy` or `HTTPS_PROXY`: for `https://` URLs.
    pub https: String,
    /// `all_proxy` or `ALL_PROXY`: for both.
    pub all: String,
    /// `no_proxy` or `NO_PROXY`: hosts, domains and networks to call directly.
    pub no: String,
}

impl Proxies {
    /// Returns a matcher that chooses the proxy for each URL, for clients that use hyper.
    pub fn matcher(&self) -> Matcher {
        Matcher::builder()
            .http(self.http.clone())
            .https(self.https.clone())
            .all(self.all.clone())
            .no(self.no.clone())
            .build()
    }

    /// Logs the proxies in use, because they may come from an environment that was meant for other programs.
    pub fn announce(&self) {
        for ProxyServer { variable, host, port } in self.servers() {
            tracing::warn!("callbacks go through the proxy {host}:{port} ({variable})");
        }
    }

    /// Returns the servers that the variables name, each with its variable.
    pub fn servers(&self) -> Vec<ProxyServer> {
        let named = [
            ("HTTP_PROXY", &self.http),
            ("HTTPS_PROXY", &self.https),
            ("ALL_PROXY", &self.all),
        ];
        let server = |(variable, url): (&'static str, &String)| {
            let address = url.split_once("://").map_or(url.as_str(), |(_, address)| address);
            let url: Uri = format!("http://{address}").parse().ok()?;
            Some(ProxyServer {
                variable,
                host: url
                    .host()?
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned(),
                port: url.port_u16().unwrap_or(80),
            })
        };
        named
            .into_iter()
            .filter(|(_, url)| !url.is_empty())
            .filter_map(server)
            .collect()
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |value: &String| !value.is_empty();
        f.debug_struct("Proxies")
            .field("http", &set(&self.http))
            .field("https", &set(&self.https))
            .field("all", &set(&self.all))
            .field("no", &self.no)
            .finish()
    }
}

/// A proxy that a variable names, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyServer {
    /// The variable in capitals, such as `HTTP_PROXY`.
    pub variable: &'static str,
    /// The name or address; an IPv6 address is without brackets.
    pub host: String,
    /// The TCP port; 80 unless the variable contains one.
    pub port: u16,
}

/// The proxy for one request.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Returns the proxy for this scheme, host and port, if any. Only `http://` proxies are supported; others are not
    /// used.
    pub(crate) fn choose(matcher: &Matcher, tls: bool, host: &str, port: u16) -> Option<Self> {
        let authority = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let scheme = if tls { "https" } else { "http" };
        let url = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query("/")
            .build()
            .ok()?;
        let chosen = matcher.intercept(&url)?;
        let uri = chosen.uri();
        (uri.scheme_str() == Some("http")).then_some(())?;
        Some(Self {
            host: uri
                .host()?
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: uri.port_u16().unwrap_or(80),
            authorization: chosen.basic_auth().cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_without_their_credentials() {
        let proxies = Proxies {
            http: "http://me:secret@proxy:3128".to_owned(),
            https: "[::1]:7/".to_owned(),
            all: "proxy".to_owned(),
            no: "localhost".to_owned(),
        };
        let server = |variable, host: &str, port| ProxyServer {
            variable,
            host: host.to_owned(),
            port,
        };
        assert_eq!(
            proxies.servers(),
            [
                server("HTTP_PROXY", "proxy", 3128),
                server("HTTPS_PROXY", "::1", 7),
                server("ALL_PROXY", "proxy", 80),
            ]
        );
        assert_eq!(Proxies::default().servers(), []);
    }
}
