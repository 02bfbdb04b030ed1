//! Which server a recorded case needs.

use std::time::Duration;

use super::script;
use crate::peer::{Step, answer};
use crate::tls_peer::Certificate;

/// How a case is replayed.
pub(super) enum Replay {
    /// The server plays this.
    Script(Vec<Step>),
    /// The server answers request targets as this says.
    Targets(fn(&str) -> Vec<Step>),
    /// The server answers requests for the URL's path with a redirect to this, all others with 200.
    Redirect(String),
    /// It is the proxy, and plays this.
    Proxy(Vec<Step>),
    /// A TLS server with this certificate.
    Tls(Certificate),
    /// Nobody takes connections off the queue of the listening port, and it is full.
    Full,
    /// Nothing listens; the proxy, if the case is about one.
    Refused,
    /// Not at all, for this reason.
    Not(&'static str),
}

/// How this case is replayed.
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
        return Replay::Not("nobody has written a script for it");
    };
    Replay::Script(answer(head))
}

/// What cannot be had on one machine without names and without the network, and where it is tested instead.
fn elsewhere(case: &str) -> Option<&'static str> {
    let named = |prefixes: &[&str]| prefixes.iter().any(|prefix| case.starts_with(prefix));
    if named(&[
        "redirect-cross-",
        "redirect-same-host-auth",
        "redirect-other-port-auth",
        "redirect-newcreds",
    ]) {
        return Some("the host names of the recording; callback_bytes.rs has these redirects with addresses");
    }
    if named(&[
        "redirect-loc-underscore",
        "proxy-no-proxy",
        "url-host-upper",
        "refused-localhost-2-addresses",
    ]) || case.starts_with("tls-") && case.contains("-name-")
    {
        return Some("the host names of the recording");
    }
    if named(&[
        "dns-",
        "redirect-loc-dns-failure",
        "url-idn-good-dnsfail",
        "url-idn-sharp-s",
        "url-xn-bad",
    ]) || named(&["url-label-too-long-for-dns", "url-trailing-tld"])
    {
        return Some("would ask a name server; callback_status.rs of the library has the text");
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
        return Some("needs a second server; tls-self-ip-default-ca is the second half of it");
    }
    if named(&["ipv6-ok", "refused-ipv6", "redirect-loc-ipv6"]) {
        return Some("needs IPv6");
    }
    named(&["tls-tls10", "plain-on-tls-port"]).then_some("a server that no TLS library of ours can play")
}

/// The certificates of the recording's TLS servers.
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
