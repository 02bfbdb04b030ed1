//! A URL in the form for sending: the address to dial, and the request target.

use std::fmt;
use std::net::Ipv6Addr;

use super::authority::Host;
use super::credentials;
use super::escape::{escape, is_path_byte, is_query_byte};
use super::host;
use super::split::split;
use super::unsendable::Unsendable;

/// A URL in the form for sending: every part is as on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl {
    /// The whole URL, escaped.
    pub(super) url: String,
    is_https: bool,
    host: String,
    port: u16,
    host_header: String,
    request_target: String,
    authorization: Option<String>,
}

impl CallbackUrl {
    /// Returns the scheme, `http` or `https`.
    pub fn scheme(&self) -> &str {
        if self.is_https { "https" } else { "http" }
    }

    /// Returns the host to resolve and dial: a name, an IPv4 address, an IPv6 address without brackets, or a form that
    /// only the system's resolver may understand, such as `127.1` or `fe80::1%25eth0`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port to dial.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the `Host` header, without the port if that is the scheme's default.
    pub fn host_header(&self) -> &str {
        &self.host_header
    }

    /// Returns the path and query, escaped.
    pub fn request_target(&self) -> &str {
        &self.request_target
    }

    /// Returns the `Authorization` header for the URL's own credentials.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    pub(super) fn fragment(&self) -> &str {
        self.url.split_once('#').map_or("", |(_, fragment)| fragment)
    }

    /// Reads a prepared web URL as `requests` does when it connects.
    pub(super) fn read(url: String) -> Result<Self, Unsendable> {
        let parts = split(&url).map_err(|error| Unsendable {
            text: error.to_string(),
        })?;
        let is_https = parts.scheme == "https";
        let default_port = if is_https { 443 } else { 80 };
        let (host, port) = host::host_and_port(parts.authority)?;
        let host = host::normalise(&host)?;
        let port = port.unwrap_or(default_port);
        let host_header = host::header(&host, Some(port).filter(|&port| port != default_port));
        let request_target = request_target(parts.path, parts.query);
        Ok(Self {
            is_https,
            host,
            port,
            host_header,
            request_target,
            authorization: None,
            url,
        })
    }

    pub(super) fn with_own_credentials(mut self) -> Self {
        let authority = split(&self.url).map_or("", |parts| parts.authority);
        self.authorization = credentials::basic_authorization(authority);
        self
    }

    /// Returns whether the host to dial is the one that was found valid. Escaping an IPv6 zone may result in another
    /// address: `[::1%61]` becomes `[::1a]`.
    pub(super) fn dials(&self, valid: &Host<'_>) -> bool {
        match valid {
            Host::Domain(_) | Host::Ipv4(_) => true,
            Host::Ipv6 { address, .. } => {
                let dialled = self.host.split('%').next().unwrap_or_default();
                dialled.parse::<Ipv6Addr>() == address.parse()
            }
        }
    }
}

/// Shows neither credentials nor the query.
impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackUrl({}://{})", self.scheme(), self.host_header)
    }
}

fn request_target(path: &str, query: &str) -> String {
    let mut target = escape(if path.is_empty() { b"/" } else { path.as_bytes() }, is_path_byte);
    if !query.is_empty() {
        target.push('?');
        target.push_str(&escape(query.as_bytes(), is_query_byte));
    }
    target
}
