//! The reason why a callback did not reach its receiver, for a log: in plain words, without the path and query of its
//! URL and without text that a peer has sent.

use std::io;

use crate::callback_status::{Abort, CallbackStatus, Cause, Failure, ProxyFailure, TlsFailure};

/// Maximum length of a host or a reason in a log, in characters: more than the longest name in DNS.
const LONGEST: usize = 320;

impl CallbackStatus {
    /// Returns what went wrong and where, if the receiver has not accepted the callback. `url` returns the URL; it is
    /// called only if the URL itself is at fault.
    pub fn trouble(&self, url: impl FnOnce() -> String) -> Option<String> {
        match self {
            Self::Response(code) if *code < 400 => None,
            Self::Response(code) => Some(format!("the receiver answered with status {code}")),
            Self::InvalidUrl => Some(format!(
                "its URL is not valid, so nothing was sent: {}",
                fault(&url())
            )),
            Self::TooManyRedirects => Some("the receiver redirected it more than 30 times".to_owned()),
            Self::Unsendable(_) => {
                Some("no request can be made from its URL, or from that of a redirect".to_owned())
            }
            Self::Failed(failure) => Some(failure.trouble()),
        }
    }
}

impl Failure {
    fn trouble(&self) -> String {
        let why = match &self.cause {
            Cause::NameResolution(error) => format!("the name cannot be resolved: {}", words(error)),
            Cause::Forbidden => {
                "callbacks to this address are not permitted (by CALLBACK_NETWORKS; never to link-local and metadata addresses)"
                    .to_owned()
            }
            Cause::BadHeader => "its URL cannot be sent in a header".to_owned(),
            Cause::Connect(error) => format!("no connection: {}", words(error)),
            Cause::ConnectTimeout { seconds } => {
                format!("no connection within {seconds} s (CALLBACK_TIMEOUT_SEC)")
            }
            Cause::Proxy(ProxyFailure::Connect(error)) => {
                format!("no connection to the proxy: {}", words(error))
            }
            Cause::Proxy(ProxyFailure::Tunnel(_)) => "the proxy refused to connect".to_owned(),
            Cause::Tls(TlsFailure::Certificate(why)) => format!("the certificate is not accepted: {why}"),
            Cause::Tls(TlsFailure::Closed) => "the connection ended during the TLS handshake".to_owned(),
            Cause::Tls(TlsFailure::Other(_)) => "the TLS handshake failed".to_owned(),
            Cause::ReadTimeout { seconds } => format!("no answer within {seconds} s (CALLBACK_TIMEOUT_SEC)"),
            Cause::BodyTimeout => "the answer was not complete in time (CALLBACK_TIMEOUT_SEC)".to_owned(),
            Cause::Aborted(Abort::Closed | Abort::Os(_)) => {
                "the connection ended without an answer".to_owned()
            }
            Cause::Aborted(_) => "the answer is not HTTP".to_owned(),
            Cause::Broken(_) => "the answer ended early".to_owned(),
        };
        format!("{}:{}: {}", shown(&self.at.host), self.at.port, shown(&why))
    }
}

/// Returns the fault of a URL that is not valid, in detail if it is a frequent one.
fn fault(url: &str) -> &'static str {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "it does not begin with http:// or https://";
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        "it does not begin with http:// or https://"
    } else if !host.contains(['.', '[']) {
        "its host is neither an address nor a name with a dot (`localhost` has none)"
    } else {
        "it violates a rule of Python's validators (docs/adr/0008-callback-url-rules.md)"
    }
}

/// Returns a stranger's text in a form for a log: on one line, with control characters escaped, and at most 320
/// characters.
pub fn shown(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() {
            c.escape_debug().collect::<String>()
        } else {
            c.to_string()
        }
    };
    text.chars().take(LONGEST).map(plain).collect()
}

/// Returns the words of the operating system without its number, or those of the resolver without the prefix of the
/// standard library.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text);
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback_status::Peer;

    fn failed(host: &str, cause: Cause) -> String {
        let at = Peer {
            tls: true,
            host: host.to_owned(),
            port: 8443,
        };
        let target = "/verdict?key=secret".to_owned();
        CallbackStatus::Failed(Failure { at, target, cause })
            .trouble(String::new)
            .unwrap()
    }

    #[test]
    fn what_reached_the_receiver_is_no_trouble() {
        assert_eq!(CallbackStatus::Response(204).trouble(String::new), None);
        assert_eq!(CallbackStatus::Response(399).trouble(String::new), None);
        let answered = CallbackStatus::Response(501).trouble(String::new);
        assert_eq!(answered.as_deref(), Some("the receiver answered with status 501"));
    }

    #[test]
    fn the_reason_is_plain_and_shows_no_query() {
        let refused = Cause::Connect(io::Error::from_raw_os_error(111));
        assert_eq!(
            failed("cb.test", refused),
            "cb.test:8443: no connection: Connection refused"
        );
        let unknown = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(
            failed("cb.test", Cause::NameResolution(unknown)),
            "cb.test:8443: the name cannot be resolved: Name or service not known"
        );
        let proxy = Cause::Proxy(ProxyFailure::Connect(io::Error::from_raw_os_error(111)));
        assert_eq!(
            failed("proxy.test", proxy),
            "proxy.test:8443: no connection to the proxy: Connection refused"
        );
    }

    #[test]
    fn the_fault_of_a_url_is_named() {
        for (url, words) in [
            ("ftp://example.com/", "begin with http"),
            ("127.0.0.1:9000/", "begin with http"),
            ("http://localhost:9000/?key=secret", "`localhost` has none"),
            ("http://user:a.b@callback/x.y", "`localhost` has none"),
            ("http://example.com/?a", "a rule of Python's validators"),
            ("http://my_host.example.com/", "a rule of Python's validators"),
        ] {
            let text = CallbackStatus::InvalidUrl.trouble(|| url.to_owned()).unwrap();
            assert!(text.contains(words) && !text.contains("secret"), "{url}: {text}");
        }
    }

    #[test]
    fn what_a_peer_writes_neither_breaks_the_line_nor_fills_the_log() {
        let text = failed("a\nERROR b", Cause::Forbidden);
        assert_eq!(
            text,
            "a\\nERROR b:8443: callbacks to this address are not permitted (by CALLBACK_NETWORKS; never to link-local and \
             metadata addresses)"
        );
        let text = failed(&"x".repeat(100_000), Cause::BodyTimeout);
        assert!(text.len() < 500, "{}", text.len());
        let reason = "y".repeat(100_000);
        let text = failed("cb.test", Cause::Proxy(ProxyFailure::Tunnel(reason)));
        assert_eq!(text, "cb.test:8443: the proxy refused to connect");
        let url = CallbackStatus::Unsendable("z".repeat(100_000))
            .trouble(String::new)
            .unwrap();
        assert!(url.len() < 100, "{url}");
    }
}
