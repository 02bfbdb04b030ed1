//! callback-status.jsonl: the recorded status for every kind of callback server.

mod replay;
mod script;

use std::path::Path;
use std::time::Duration;

use callback_client::CallbackClient;
use callback_client::callback_url::{Judgement, judge_wtf8};
use callback_client::proxy::Proxies;

use self::replay::{Replay, replay};
use self::script::OK;
use crate::clients;
use crate::corpus::{self, Books, python_literal, text};
use crate::peer::{Full, Peer, answer};
use crate::tls_peer::TlsPeer;

const FILE: &str = "callback-status.jsonl";

/// The stand-in for the recording's server.
enum Server {
    Http(Peer),
    Tls(TlsPeer),
    Full(Full),
    None,
}

#[tokio::test]
async fn the_record_says_what_pythons_says() {
    let rows = corpus::read(FILE);
    let mut books = Books::default();
    for row in &rows {
        let case = text(row, "case");
        let replay = replay(case, text(row, "server"));
        if let Replay::Not(reason) = replay {
            books.not_run(case, reason);
            continue;
        }
        let is_proxied = matches!(replay, Replay::Proxy(_)) || case == "proxy-down";
        let closed = harness::free_port();
        let server = Server::start(case, replay, closed).await;
        let port = server.port().unwrap_or(closed);
        let local = |text: &str| localised(text, port, closed);
        let limit = if is_slow(case) { 1 } else { 30 };
        let proxy = if is_proxied {
            format!("http://127.0.0.1:{port}")
        } else {
            String::new()
        };
        let proxies = Proxies {
            all: proxy,
            ..Proxies::default()
        };
        let ca_bundle = if case.ends_with("-trusted-ca") {
            server.ca_bundle()
        } else {
            None
        };
        let client = clients::trusting(ca_bundle, Duration::from_secs(limit), &proxies);
        let ours = call_back(&client, &url(case, &local(text(row, "url")))).await;
        match decided_otherwise(case) {
            None => {
                let recorded = local(&stable(text(row, "callback_status")));
                books.same(
                    case,
                    recorded.replace("timeout=5", &format!("timeout={limit}")),
                    ours,
                );
            }
            Some((reason, expected)) => {
                let expected = expected.replace("PORT", &port.to_string());
                match expected.strip_suffix('…').filter(|start| ours.starts_with(start)) {
                    Some(start) => books.deviates(case, reason, start, start),
                    None => books.deviates(case, reason, expected, ours),
                }
            }
        }
    }
    books.close(FILE, rows.len());
}

impl Server {
    async fn start(case: &str, replay: Replay, closed: u16) -> Self {
        match replay {
            Replay::Not(_) | Replay::Refused => Self::None,
            Replay::Script(script) | Replay::Proxy(script) => Self::Http(Peer::playing(script).await),
            Replay::Targets(steps) => {
                let choose = move |request: &str| steps(target(request));
                Self::Http(Peer::choosing(choose).await)
            }
            Replay::Redirect(location) => Self::Http(redirecting(case, location, closed).await),
            Replay::Tls(certificate) => Self::Tls(TlsPeer::start(certificate).await),
            Replay::Full => Self::Full(Full::start().await),
        }
    }

    fn port(&self) -> Option<u16> {
        match self {
            Self::Http(peer) => Some(peer.port()),
            Self::Tls(peer) => Some(peer.port()),
            Self::Full(full) => Some(full.port()),
            Self::None => None,
        }
    }

    fn ca_bundle(&self) -> Option<&Path> {
        match self {
            Self::Tls(peer) => Some(peer.ca_bundle()),
            _ => None,
        }
    }
}

async fn call_back(client: &CallbackClient, url: &[u8]) -> String {
    match judge_wtf8(url) {
        Judgement::Invalid => "Invalid callback URL".to_owned(),
        Judgement::Unsendable { text } => text,
        Judgement::Sendable(url) => client.post("id", url, "{}".to_owned()).await.to_string(),
    }
}

/// Returns the original URL: in the file, long URLs are shortened and lone surrogates are escaped.
fn url(case: &str, shown: &str) -> Vec<u8> {
    let origin = shown.split("/pp").next().unwrap();
    match case {
        "url-long-8k" => format!("{origin}/{}", "p".repeat(8_000)).into_bytes(),
        "url-long-100k" => format!("{origin}/{}", "p".repeat(100_000)).into_bytes(),
        "url-surrogate-query" | "url-surrogate-password" => {
            let (before, after) = shown.split_once("\\ud800").unwrap();
            [before.as_bytes(), b"\xed\xa0\x80", after.as_bytes()].concat()
        }
        _ => shown.as_bytes().to_vec(),
    }
}

/// Replaces the ports of all the recording's servers by `port`, and its closed port by `closed`.
fn localised(recorded: &str, port: u16, closed: u16) -> String {
    let text = recorded.replace("21010", &closed.to_string());
    let servers = [1, 3].into_iter().chain(11..=18).chain(20..=27).chain([379]);
    servers.fold(text, |text, server| {
        text.replace(&format!("21{server:03}"), &port.to_string())
    })
}

/// Removes memory addresses and line numbers of Python's TLS module.
fn stable(text: &str) -> String {
    without(&without(text, " at 0x", ""), " (_ssl.c:", ")")
}

/// Removes `start`, a number and `end`.
fn without(text: &str, start: &str, end: &str) -> String {
    let Some((before, after)) = text.split_once(start) else {
        return text.to_owned();
    };
    let after = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    format!("{before}{}", after.strip_prefix(end).unwrap())
}

/// Returns whether a case waits until the time is up; such cases run with a limit of one second.
fn is_slow(case: &str) -> bool {
    let slow = [
        "read-timeout",
        "slow-",
        "tls-handshake-timeout",
        "tls-on-plain-port",
        "connect-timeout",
    ];
    slow.iter().any(|slow| case.starts_with(slow))
}

fn target(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}

async fn redirecting(case: &str, location: String, closed: u16) -> Peer {
    let path = format!("/{case}");
    Peer::choosing(move |request| {
        if target(request).split('?').next() != Some(&path) || request.contains("done") {
            return answer(OK);
        }
        let port = request
            .split("Host: 127.0.0.1:")
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .unwrap();
        let location = python_literal(&localised(&location, port.parse().unwrap(), closed));
        answer(
            [
                b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ",
                &location[..],
                b"\r\n\r\n",
            ]
            .concat(),
        )
    })
    .await
}

/// Returns the reason and our text if we decided to deviate from Python; `…` stands for any rest.
fn decided_otherwise(case: &str) -> Option<(&'static str, &'static str)> {
    let total = "the time limit applies to the whole callback";
    let location = "a Location on which Python fails is recorded";
    let size = "our HTTP library has other limits";
    let frames = "our HTTP library does not report the details";
    let undecoded = "the body is not used, so it is not decoded";
    let url = "such a URL is invalid, or can be sent";
    let tls = "our TLS library uses other words, or finds another fault first";
    Some(match case {
        "slow-body-16s" => (
            total,
            "HTTPConnectionPool(host='127.0.0.1', port=PORT): Read timed out.",
        ),
        "slow-headers-18s" | "slow-redirects-5x4s" => (
            total,
            "HTTPConnectionPool(host='127.0.0.1', port=PORT): Read timed out. (read timeout=1)",
        ),
        "redirect-loc-latin1" | "redirect-loc-idn" => (location, "redirect location is not UTF-8"),
        "redirect-loc-bad-ipv6" => (location, "Invalid IPv6 URL"),
        "garbage-long-line" => (size, "('Connection aborted.', BadStatusLine('aaaa…"),
        "chunk-bad-size" | "chunk-negative" => (
            frames,
            "(\"Connection broken: ProtocolError('Invalid chunk size line: …",
        ),
        "chunk-close" => (frames, "Response ended prematurely"),
        "length-twice-differ" | "length-huge" | "header-long" => (frames, "<Response [200]>"),
        "gzip-bad" | "deflate-bad" | "gzip-8-layers" => (undecoded, "<Response [200]>"),
        "url-ipv6-junk-after"
        | "url-ipv6-double-bracket"
        | "url-differential-backslash"
        | "url-differential-backslash2" => (url, "Invalid callback URL"),
        "url-password-nonlatin1" | "url-surrogate-query" | "url-surrogate-password" => {
            (url, "<Response [200]>")
        }
        "tls-on-http-server" | "tls-ssh-banner" => (
            tls,
            "HTTPSConnectionPool(host='127.0.0.1', port=PORT): Max retries exceeded with url: /x (Caused by \
             SSLError(SSLError(1, '[SSL] received corrupt message of type InvalidContentType')))",
        ),
        "tls-self-ip-default-ca" | "tls-self-ip-trusted-ca" | "tls-clientcert-ip-default-ca" => (
            tls,
            "HTTPSConnectionPool(host='127.0.0.1', port=PORT): Max retries exceeded with url: /tls (Caused by \
             SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to \
             get local issuer certificate')))",
        ),
        "tls-expired-ip-default-ca" => (
            tls,
            "HTTPSConnectionPool(host='127.0.0.1', port=PORT): Max retries exceeded with url: /tls (Caused by \
             SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: \
             certificate has expired')))",
        ),
        "tls-clientcert-ip-trusted-ca" => (
            tls,
            "HTTPSConnectionPool(host='127.0.0.1', port=PORT): Max retries exceeded with url: /tls (Caused by \
             SSLError(SSLError(1, '[SSL] received fatal alert: CertificateRequired')))",
        ),
        _ => return None,
    })
}
