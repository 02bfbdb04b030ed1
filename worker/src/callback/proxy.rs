//! Proxies from the environment, for the callback and the ACL service alike (behaviour 3).

use std::fmt;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::callback_status::{Cause, ProxyFailure};

/// As much of a proxy's answer to CONNECT as is read.
const ANSWER_LIMIT: usize = 8 * 1024;

/// The proxy variables as they were set; empty where unset. They may hold passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `http_proxy` or `HTTP_PROXY`: for `http://` URLs.
    pub http: String,
    /// `https_proxy` or `HTTPS_PROXY`: for `https://` URLs.
    pub https: String,
    /// `all_proxy` or `ALL_PROXY`: for both.
    pub all: String,
    /// `no_proxy` or `NO_PROXY`: hosts, domains and networks that are called directly.
    pub no: String,
}

impl Proxies {
    /// Chooses the proxy for a URL.
    pub fn matcher(&self) -> Matcher {
        Matcher::builder()
            .http(self.http.clone())
            .https(self.https.clone())
            .all(self.all.clone())
            .no(self.no.clone())
            .build()
    }

    /// Logs which proxies are in force, as they may come from an environment that was made for other programs.
    pub fn announce(&self) {
        for ProxyServer { variable, host, port } in self.servers() {
            tracing::warn!("callbacks go through the proxy {host}:{port} ({variable})");
        }
    }

    /// The servers that the variables name.
    pub(crate) fn servers(&self) -> Vec<ProxyServer> {
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

    /// The same choice for reqwest.
    pub(crate) fn for_reqwest(&self) -> reqwest::Result<Vec<reqwest::Proxy>> {
        let mut proxies = Vec::new();
        for (url, proxy) in [
            (&self.http, reqwest::Proxy::http as fn(_) -> _),
            (&self.https, reqwest::Proxy::https),
            (&self.all, reqwest::Proxy::all),
        ] {
            if !url.is_empty() {
                let direct = reqwest::NoProxy::from_string(&self.no);
                proxies.push(proxy(url.as_str())?.no_proxy(direct));
            }
        }
        Ok(proxies)
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
pub(crate) struct ProxyServer {
    pub(crate) variable: &'static str,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The proxy for one request.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<hyper::header::HeaderValue>,
}

impl Proxy {
    /// The proxy for this scheme, host and port, if any. Only `http://` proxies are known; others are not used.
    pub(super) fn choose(matcher: &Matcher, tls: bool, host: &str, port: u16) -> Option<Self> {
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

/// Asks a proxy for a tunnel to `host`.
pub(super) async fn tunnel(
    mut proxied: TcpStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<TcpStream, Cause> {
    let connect = |error| Cause::Proxy(ProxyFailure::Connect(error));
    let authority = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    proxied.write_all(&request).await.map_err(connect)?;

    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == ANSWER_LIMIT {
            return Err(Cause::Proxy(ProxyFailure::Tunnel(
                "the proxy's answer has no end".to_owned(),
            )));
        }
        // One byte at a time: what follows the head belongs to the tunnel.
        answer.push(proxied.read_u8().await.map_err(connect)?);
    }
    let head = String::from_utf8_lossy(&answer);
    let status = head
        .lines()
        .next()
        .and_then(|line| line.split_once(' '))
        .map_or("", |(_, status)| status);
    if status.starts_with('2') {
        Ok(proxied)
    } else {
        Err(Cause::Proxy(ProxyFailure::Tunnel(status.to_owned())))
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
