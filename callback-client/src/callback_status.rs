//! The outcome of a callback, in the texts of Python's `str(response)` or `str(exception)` (behaviour 3), without
//! memory addresses and the line numbers of Python's TLS build.

mod failure;

use std::fmt;

pub use self::failure::Failure;
pub(crate) use self::failure::{Abort, Break, Cause, Peer, ProxyFailure, TlsFailure};

/// The outcome of a callback. Its `Display` is Python's text, `callback_status` in the contract.
#[derive(Debug)]
pub enum CallbackStatus {
    /// There was a final answer, with this status code.
    Response(u16),
    /// The URL is not valid (behaviour 1): nothing was sent.
    InvalidUrl,
    /// The 31st redirect was not followed.
    TooManyRedirects,
    /// The URL, or that of a redirect, is valid but cannot be turned into a request; contains Python's text.
    Unsendable(String),
    /// The exchange failed.
    Failed(Failure),
}

impl fmt::Display for CallbackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(code) => write!(f, "<Response [{code}]>"),
            Self::InvalidUrl => f.write_str("Invalid callback URL"),
            Self::TooManyRedirects => f.write_str("Exceeded 30 redirects."),
            Self::Unsendable(why) => f.write_str(why),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn failed(cause: Cause) -> String {
        let at = Peer {
            tls: false,
            host: "cb.test".to_owned(),
            port: 80,
        };
        CallbackStatus::Failed(Failure {
            at,
            target: "/x?y=z".to_owned(),
            cause,
        })
        .to_string()
    }

    #[test]
    fn the_contract() {
        assert_eq!(CallbackStatus::Response(204).to_string(), "<Response [204]>");
        assert_eq!(CallbackStatus::InvalidUrl.to_string(), "Invalid callback URL");
        assert_eq!(
            CallbackStatus::TooManyRedirects.to_string(),
            "Exceeded 30 redirects."
        );
    }

    #[test]
    fn names_without_address() {
        let error = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(
            failed(Cause::NameResolution(error)),
            "HTTPConnectionPool(host='cb.test', port=80): Max retries exceeded with url: /x?y=z (Caused by \
             NameResolutionError(\"HTTPConnection(host='cb.test', port=80): Failed to resolve 'cb.test' ([Errno -2] Name \
             or service not known)\"))"
        );
    }

    #[test]
    fn networks_without_a_way() {
        assert_eq!(
            failed(Cause::Connect(io::Error::from_raw_os_error(101))),
            "HTTPConnectionPool(host='cb.test', port=80): Max retries exceeded with url: /x?y=z (Caused by \
             NewConnectionError(\"HTTPConnection(host='cb.test', port=80): Failed to establish a new connection: [Errno \
             101] Network is unreachable\"))"
        );
    }

    #[test]
    fn certificates_for_other_names() {
        let why = "Hostname mismatch, certificate is not valid for 'cb.test'.".to_owned();
        assert_eq!(
            failed(Cause::Tls(TlsFailure::Certificate(why))),
            "HTTPConnectionPool(host='cb.test', port=80): Max retries exceeded with url: /x?y=z (Caused by \
             SSLError(SSLCertVerificationError(1, \"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname \
             mismatch, certificate is not valid for 'cb.test'.\")))"
        );
    }
}
