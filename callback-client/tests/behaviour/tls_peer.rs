//! TLS servers with good and bad certificates.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The kind of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// Signed by the test CA, for 127.0.0.1.
    Good,
    /// The same as `Good`, over TLS 1.2.
    GoodWithTls12,
    /// The same as `Good`, but the client must have a certificate as well.
    GoodButWantsOne,
    /// Self-signed.
    SelfSigned,
    /// For another name.
    WrongName,
    /// Without a name.
    NoName,
    /// Expired.
    Expired,
}

/// A server on 127.0.0.1 that answers every request with 200, like Elasticsearch, until it is dropped.
pub(crate) struct TlsPeer {
    port: u16,
    ca_bundle: tempfile::NamedTempFile,
    _serving: JoinSet<()>,
}

impl TlsPeer {
    pub(crate) async fn start(certificate: Certificate) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let ca_bundle = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca_bundle.path(), ca.pem()).unwrap();

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config(certificate, &ca)));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, acceptor));
        Self {
            port,
            ca_bundle,
            _serving: serving,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the certificate of the test CA, for `REQUESTS_CA_BUNDLE`.
    pub(crate) fn ca_bundle(&self) -> &Path {
        self.ca_bundle.path()
    }
}

fn config(certificate: Certificate, ca: &CertifiedIssuer<'_, KeyPair>) -> ServerConfig {
    let names = match certificate {
        Certificate::WrongName => vec!["other.test".to_owned()],
        Certificate::NoName => Vec::new(),
        _ => vec!["127.0.0.1".to_owned()],
    };
    let mut params = CertificateParams::new(names).unwrap();
    if certificate == Certificate::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 2);
    }
    let key = KeyPair::generate().unwrap();
    let signed = if certificate == Certificate::SelfSigned {
        params.self_signed(&key).unwrap()
    } else {
        params.signed_by(&key, ca).unwrap()
    };

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = match certificate {
        Certificate::GoodWithTls12 => builder
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap(),
        _ => builder.with_safe_default_protocol_versions().unwrap(),
    };
    let builder = if certificate == Certificate::GoodButWantsOne {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    builder.with_single_cert(vec![signed.der().clone()], key).unwrap()
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut request = [0; 4096];
        if matches!(stream.read(&mut request).await, Ok(1..)) {
            // There is no length and no close_notify: the body ends with the connection, as with many servers.
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\n\r\nok")
                .await;
            let _ = stream.flush().await;
        }
    }
}
