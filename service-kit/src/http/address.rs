//! The address on which a server listens.

use std::fmt;
use std::io;
use std::str::FromStr;

use tokio::net::TcpListener;

/// A host and a port to listen on. Port 0 lets the system choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    host: String,
    port: u16,
}

impl ListenAddress {
    /// Creates an address from a host name or IP address (IPv6 with or without brackets) and a port.
    pub fn new(host: &str, port: u16) -> Self {
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        Self {
            host: host.to_owned(),
            port,
        }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts listening.
    ///
    /// # Errors
    ///
    /// [`BindError`], with the reason.
    pub async fn bind(&self) -> Result<TcpListener, BindError> {
        let listener = TcpListener::bind((self.host.as_str(), self.port)).await;
        listener.map_err(|error| BindError {
            address: self.clone(),
            error,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

impl FromStr for ListenAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAnAddress)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || (host.contains(':') && !bracketed) {
            return Err(NotAnAddress);
        }
        Ok(Self::new(host, port.parse().map_err(|_| NotAnAddress)?))
    }
}

/// A text that is not `host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not host:port")]
pub struct NotAnAddress;

/// An error: a server cannot listen on its address.
#[derive(Debug, thiserror::Error)]
pub struct BindError {
    address: ListenAddress,
    error: io::Error,
}

impl BindError {
    /// Returns the address.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Returns whether another program listens there.
    pub fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }

    /// Returns the reason, without the address.
    pub fn reason(&self) -> String {
        match self.error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program uses this port; stop it or choose another port".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "not permitted; ports below 1024 need privileges; choose another port".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => self.error.to_string(),
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["127.0.0.1:8080", "localhost:0", "[::1]:9100", "0.0.0.0:65535"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        assert_eq!(ListenAddress::new("::", 80).to_string(), "[::]:80");
    }

    #[test]
    fn what_is_not_an_address() {
        for text in [
            "",
            "localhost",
            ":80",
            "localhost:",
            "localhost:http",
            "localhost:65536",
            "::1:80",
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(NotAnAddress), "{text}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_reported_in_one_sentence() {
        let first = ListenAddress::new("127.0.0.1", 0).bind().await.unwrap();
        let taken = ListenAddress::new("127.0.0.1", first.local_addr().unwrap().port());
        assert_eq!(
            taken.bind().await.unwrap_err().to_string(),
            format!(
                "cannot listen on {taken}: another program uses this port; stop it or choose another port"
            )
        );
    }
}
