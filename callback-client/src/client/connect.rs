//! The way from a URL's host to a connection: addresses under the target policy, TCP, a proxy's tunnel, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::tunnel::tunnel;
use crate::callback_status::{Abort, Cause, Peer, ProxyFailure, TlsFailure};
use crate::proxy::Proxy;
use crate::target_policy::TargetPolicy;

/// The connection that carries the request.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The deadline of a callback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    /// The limit from which the deadline results, for the texts.
    pub(super) limit: Duration,
}

impl Deadline {
    pub(super) fn read_timeout(self) -> Cause {
        Cause::ReadTimeout {
            seconds: self.limit.as_secs(),
        }
    }

    fn connect_timeout(self) -> Cause {
        Cause::ConnectTimeout {
            seconds: self.limit.as_secs(),
        }
    }
}

/// Opens the connections of callbacks.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) policy: TargetPolicy,
    pub(super) tls: Arc<rustls::ClientConfig>,
}

impl Connector {
    /// Opens a connection to `peer`, through `proxy` if there is one; for TLS, performs the handshake.
    ///
    /// The policy applies to the address that is dialled. A proxy is the operator's choice and resolves names itself,
    /// so with a proxy only literal addresses can be judged.
    pub(super) async fn connect(
        &self,
        peer: &Peer,
        proxy: Option<&Proxy>,
        deadline: Deadline,
    ) -> Result<Box<dyn Stream>, Cause> {
        let tcp = match proxy {
            None => {
                let addresses = self.permitted(resolve(&peer.host, peer.port, deadline).await?)?;
                dial(&addresses, deadline).await?
            }
            Some(proxy) => {
                if let Ok(address) = peer.host.parse::<IpAddr>() {
                    self.permitted(vec![SocketAddr::new(address, peer.port)])?;
                }
                self.dial_proxy(proxy, deadline).await?
            }
        };
        if !peer.tls {
            return Ok(Box::new(tcp));
        }
        let tcp = match proxy {
            None => tcp,
            Some(proxy) => timeout_at(deadline.at, tunnel(tcp, proxy, &peer.host, peer.port))
                .await
                .map_err(|_| deadline.read_timeout())??,
        };
        self.handshake(peer, tcp, deadline).await
    }

    fn permitted(&self, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Cause> {
        addresses.retain(|address| self.policy.permits(address.ip()));
        if addresses.is_empty() {
            Err(Cause::Forbidden)
        } else {
            Ok(addresses)
        }
    }

    async fn dial_proxy(&self, proxy: &Proxy, deadline: Deadline) -> Result<TcpStream, Cause> {
        let connected = match resolve(&proxy.host, proxy.port, deadline).await {
            Ok(addresses) => dial(&addresses, deadline).await,
            Err(cause) => Err(cause),
        };
        connected.map_err(|cause| match cause {
            Cause::Connect(error) | Cause::NameResolution(error) => {
                Cause::Proxy(ProxyFailure::Connect(error))
            }
            other => other,
        })
    }

    async fn handshake(
        &self,
        peer: &Peer,
        tcp: TcpStream,
        deadline: Deadline,
    ) -> Result<Box<dyn Stream>, Cause> {
        let Ok(name) = ServerName::try_from(peer.host.clone()) else {
            let why = format!("'{}' is no name that a certificate could be for", peer.host);
            return Err(Cause::Tls(TlsFailure::Other(why)));
        };
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp);
        match timeout_at(deadline.at, handshake).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(handshake_failure(&error, &peer.host)),
            Err(_) => Err(deadline.read_timeout()),
        }
    }
}

async fn resolve(host: &str, port: u16, deadline: Deadline) -> Result<Vec<SocketAddr>, Cause> {
    let looked_up = timeout_at(deadline.at, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<_> = looked_up
        .map_err(|_| deadline.connect_timeout())?
        .map_err(Cause::NameResolution)?
        .collect();
    if addresses.is_empty() {
        return Err(Cause::NameResolution(io::Error::other(
            "No address associated with hostname",
        )));
    }
    Ok(addresses)
}

/// Dials one address after the other, each with its share of the remaining time; returns the last failure, as urllib3
/// does.
async fn dial(addresses: &[SocketAddr], deadline: Deadline) -> Result<TcpStream, Cause> {
    let mut cause = deadline.connect_timeout();
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.at.saturating_duration_since(Instant::now());
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match tokio::time::timeout(left / untried, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A failure only increases latency.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => cause = Cause::Connect(error),
            Err(_) => cause = deadline.connect_timeout(),
        }
    }
    Err(cause)
}

/// Returns the reason why a handshake, or reading over TLS, failed; the library wraps it in an I/O error.
pub(super) fn handshake_failure(error: &io::Error, host: &str) -> Cause {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Cause::Tls(TlsFailure::Closed);
    }
    match rustls_error(error) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            Cause::Tls(TlsFailure::Certificate(openssl_words(why, host)))
        }
        Some(other) => Cause::Tls(TlsFailure::Other(other.to_string())),
        None => Cause::Aborted(Abort::Os(error.raw_os_error())),
    }
}

pub(super) fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn openssl_words(error: &rustls::CertificateError, host: &str) -> String {
    use rustls::CertificateError as Error;
    match error {
        Error::UnknownIssuer => "unable to get local issuer certificate".to_owned(),
        Error::Expired | Error::ExpiredContext { .. } => "certificate has expired".to_owned(),
        Error::NotValidYet | Error::NotValidYetContext { .. } => "certificate is not yet valid".to_owned(),
        Error::NotValidForName | Error::NotValidForNameContext { .. } => {
            let what = if host.parse::<IpAddr>().is_ok() {
                "IP address"
            } else {
                "Hostname"
            };
            format!("{what} mismatch, certificate is not valid for '{host}'.")
        }
        Error::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "self-signed certificate".to_owned()
        }
        other => other.to_string(),
    }
}
