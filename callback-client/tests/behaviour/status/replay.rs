//! The server that a recorded case needs.

use std::time::Duration;

use super::script;
use crate::peer::{Step, answer};
use crate::tls_peer::Certificate;

/// The way to replay a case.
pub(super) enum Replay {
    /// The server plays this script.
    Script(Vec<Step>),
    /// The server plays the script that this function returns for a request target.
    Targets(fn(&str) -> Vec<Step>),
    /// The server answers requests for the URL's path with a redirect to this, all others with 200.
    Redirect(String),
    /// The server is the proxy and plays this script.
    Proxy(Vec<Step>),
    /// A TLS server with this certificate.
    Tls(Certificate),
    /// A listening port does not accept connections, and its queue is full.
    Full,
    /// No server listens, or no proxy if the case is about one.
    Refused,
    /// The case is not replayed, for this reason.
    Not(&'static str),
}

/// Returns the way to replay this case.
pub(super) fn replay(case: &str, server: &str) -> Replay {
    if let Some(reason) = elsewhere(case) {
        return Replay::Not(reason);
    }
    if let Some(script) = script::connection(case) {
        return script;
    }
    if let Some(certificate) = certificate(case) {
        return Replay::Tls(certificate);
    }
    if let Some((_, location)) = server.split_once(" Location: ") {
        return Replay::Redirect(match case {
            "redirect-loc-long" => format!("'/final-200?{}'", "x".repeat(8_000)),
            _ => location.to_owned(),
        });
    }
    let starts_with = |starts: &[&str]| starts.iter().any(|start| case.starts_with(start));
    if starts_with(&["url-", "netrc", "cookie-", "ipv4-zero", "ipv6-zone"]) {
        return Replay::Targets(|_| answer(script::OK));
    }
    if starts_with(&["redirect-"]) {
        return Replay::Targets(|target| answer(script::by_target(target)));
    }
    if starts_with(&["slow-redirects"]) {
        return Replay::Targets(|target| {
            vec![
                Step::Read,
                Step::Pause(Duration::from_millis(300)),
                Step::Send(script::by_target(target).into_bytes()),
            ]
        });
    }
    let Some(head) = script::head(case) else {
        return Replay::Not("there is no script for it");
    };
    Replay::Script(answer(head))
}

/// Returns the reason why a case cannot be replayed on one machine without names and without the network, and where it
/// is tested instead.
fn elsewhere(case: &str) -> Option<&'static str> {
    let named = |prefixes: &[&str]| prefixes.iter().any(|prefix| case.starts_with(prefix));
    if named(&[
        "redirect-cross-",
        "redirect-same-host-auth",
        "redirect-other-port-auth",
        "redirect-newcreds",
    ]) {
        return Some("needs the host names of the recording; bytes.rs has these redirects with addresses");
    }
    if named(&[
        "redirect-loc-underscore",
        "proxy-no-proxy",
        "url-host-upper",
        "refused-localhost-2-addresses",
    ]) || case.starts_with("tls-") && case.contains("-name-")
    {
        return Some("needs the host names of the recording");
    }
    if named(&[
        "dns-",
        "redirect-loc-dns-failure",
        "url-idn-good-dnsfail",
        "url-idn-sharp-s",
        "url-xn-bad",
    ]) || named(&["url-label-too-long-for-dns", "url-trailing-tld"])
    {
        return Some("would query a name server; callback_status.rs of the library has the text");
    }
    if named(&[
        "network-unreachable-ipv6",
        "ipv4-broadcast",
        "ipv4-multicast",
        "refused-port-1",
    ]) || named(&["refused-default-port", "url-port-80"])
    {
        return Some("would dial beyond the ports of this test");
    }
    if case == "redirect-loc-https-self" {
        return Some("needs a second server; tls-self-ip-default-ca covers its second half");
    }
    if named(&["ipv6-ok", "refused-ipv6", "redirect-loc-ipv6"]) {
        return Some("needs IPv6");
    }
    named(&["tls-tls10", "plain-on-tls-port"]).then_some("needs a server that our TLS library cannot play")
}

/// Returns the certificate of the recording's TLS server.
fn certificate(case: &str) -> Option<Certificate> {
    Some(match case.strip_prefix("tls-")?.split('-').next()? {
        "self" => Certificate::SelfSigned,
        "good" => Certificate::Good,
        "wrong" => Certificate::WrongName,
        "nosan" => Certificate::NoName,
        "expired" => Certificate::Expired,
        "clientcert" => Certificate::GoodButWantsOne,
        "tls12" => Certificate::GoodWithTls12,
        _ => return None,
    })
}
