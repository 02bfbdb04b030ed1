//! The trusted CA certificates, for callbacks and other HTTP clients of the same program.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// The reason why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file or directory could not be read.
    #[error("cannot read CA certificates from {}", .path.display())]
    Unreadable {
        /// The bundle.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file or directory contains no certificate.
    #[error("no CA certificate in {}", .path.display())]
    Empty {
        /// The bundle.
        path: PathBuf,
    },
    /// The TLS library does not accept its own defaults.
    #[error("cannot set up TLS")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}

/// Returns a configuration for TLS 1.2 and 1.3 with ALPN `http/1.1`. It trusts the CA certificates in `ca_bundle`, a
/// PEM file or a hashed directory (Python's `REQUESTS_CA_BUNDLE`), or without one Mozilla's, as Python's `requests`
/// does with certifi. Reads the bundle, which blocks if it is a pipe.
///
/// # Errors
///
/// If there is no certificate to trust.
pub fn client_config(ca_bundle: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::Setup(error.into()))?
        .with_root_certificates(roots(ca_bundle)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(ca_bundle: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let Some(path) = ca_bundle else {
        return Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        });
    };
    let (file, directory) = if path.is_dir() {
        (None, Some(path))
    } else {
        (Some(path), None)
    };
    let mut found = rustls_native_certs::load_certs_from_paths(file, directory);
    if found.certs.is_empty()
        && let Some(source) = found.errors.pop()
    {
        return Err(TrustError::Unreadable {
            path: path.to_owned(),
            source: source.into(),
        });
    }
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(TrustError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}
