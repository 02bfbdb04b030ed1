//! The headers that identify and sign a callback (ADR 40), verified with Python's `hmac`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use callback_client::callback_url::{Judgement, judge};
use callback_client::proxy::Proxies;
use callback_client::{CallbackClient, CallbackConfig, tls};

use crate::clients;
use crate::peer::{Peer, answer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BODY: &str = r#"{"station_id": "s", "driver_token": "é", "status": "allowed"}"#;
const OLD: &str = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQhISE=";
const NEW: &str = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXchISE=";

/// A script that prints the signature that a receiver expects. Its input is the secret, the id and the timestamp, one
/// per line, and the body.
const PYTHON: &str = "
import base64, hashlib, hmac, sys
secret, id, timestamp, body = sys.stdin.buffer.read().split(b'\\n', 3)
key = base64.b64decode(secret.removeprefix(b'whsec_'))
digest = hmac.new(key, b'.'.join([id, timestamp, body]), hashlib.sha256).digest()
print('v1,' + base64.b64encode(digest).decode())
";

fn expected(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let mut python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = format!("{secret}\n{id}\n{timestamp}\n{body}");
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn post(task_id: &str, to: &str, secrets: Option<&str>) {
    let config = CallbackConfig {
        signing: secrets.map(|secrets| secrets.parse().unwrap()),
        ..clients::config(Duration::from_secs(30))
    };
    let tls = Arc::new(tls::client_config(None).unwrap());
    let client = CallbackClient::new(config, tls, &Proxies::default());
    let Judgement::Sendable(url) = judge(to) else {
        panic!("{to} cannot be sent to");
    };
    let status = client.post(task_id, url, BODY.to_owned()).await.to_string();
    assert_eq!(status, "<Response [200]>");
}

fn header<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    let head = request.split("\r\n\r\n").next().unwrap();
    let mut values = head
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let value = values.next();
    assert_eq!(values.next(), None, "{name} occurs twice");
    value
}

#[tokio::test]
async fn every_secret_signs_id_time_and_body() {
    let peer = Peer::playing(answer(OK)).await;
    let url = format!("http://127.0.0.1:{}/", peer.port());
    post("a-task", &url, Some(&format!("{OLD}, {NEW}"))).await;
    let request = peer.requests().remove(0);
    let timestamp = header(&request, "Webhook-Timestamp").unwrap();
    let age = jiff::Timestamp::now().as_second() - timestamp.parse::<i64>().unwrap();
    assert!((0..120).contains(&age), "{age} s old");
    let signatures = [OLD, NEW].map(|secret| expected(secret, "a-task", timestamp, BODY));
    assert_eq!(header(&request, "Webhook-Id"), Some("a-task"));
    assert_eq!(
        header(&request, "Webhook-Signature"),
        Some(signatures.join(" ").as_str())
    );
    assert!(request.ends_with(BODY), "{request}");
}

#[tokio::test]
async fn without_a_secret_there_is_the_id_only() {
    let peer = Peer::playing(answer(OK)).await;
    post("a-task", &format!("http://127.0.0.1:{}/", peer.port()), None).await;
    let request = peer.requests().remove(0);
    assert_eq!(header(&request, "Webhook-Id"), Some("a-task"));
    assert_eq!(header(&request, "Webhook-Timestamp"), None);
    assert_eq!(header(&request, "Webhook-Signature"), None);
}

#[tokio::test]
async fn a_task_id_cannot_inject_a_header() {
    let peer = Peer::playing(answer(OK)).await;
    let url = format!("http://127.0.0.1:{}/", peer.port());
    for task_id in ["a\r\nX-Injected: 1", "a\0b", "é", "a.1", &"x".repeat(100_000)] {
        post(task_id, &url, Some(OLD)).await;
        let request = peer.requests().pop().unwrap();
        let id = header(&request, "Webhook-Id").unwrap();
        assert!(id.starts_with("sha256-") && id.len() == 71, "{id}");
        assert_eq!(header(&request, "X-Injected"), None);
        let timestamp = header(&request, "Webhook-Timestamp").unwrap();
        let signature = expected(OLD, id, timestamp, BODY);
        assert_eq!(header(&request, "Webhook-Signature"), Some(signature.as_str()));
    }
}

#[tokio::test]
async fn redirects_that_keep_the_request_keep_its_id_and_signature() {
    for (status, kept) in [(301, false), (302, false), (303, false), (307, true), (308, true)] {
        let peer = Peer::choosing(move |request| {
            if request.starts_with("POST /first") {
                answer(format!(
                    "HTTP/1.1 {status} X\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n"
                ))
            } else {
                answer(OK)
            }
        })
        .await;
        let url = format!("http://127.0.0.1:{}/first", peer.port());
        post("a-task", &url, Some(OLD)).await;
        let requests = peer.requests();
        for name in ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"] {
            let first = header(&requests[0], name);
            assert!(first.is_some(), "{name}");
            assert_eq!(
                header(&requests[1], name),
                first.filter(|_| kept),
                "{status} {name}"
            );
        }
    }
}
