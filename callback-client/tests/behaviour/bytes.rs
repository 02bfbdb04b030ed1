//! The exact bytes that a callback sends, and its permitted targets.

use std::sync::Arc;
use std::time::Duration;

use callback_client::callback_url::{CallbackUrl, Judgement, judge};
use callback_client::proxy::Proxies;
use callback_client::{CallbackClient, CallbackConfig, tls};

use crate::clients;
use crate::peer::{Peer, Step, answer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TASK_ID: &str = "2f8c9a52-6f55-4d0c-9d4b-0c5e9a1f7f10";
const BODY: &str = r#"{"station_id": "s", "driver_token": "t", "status": "allowed"}"#;

fn url(text: &str) -> CallbackUrl {
    match judge(text) {
        Judgement::Sendable(url) => url,
        other => panic!("{text}: {other:?}"),
    }
}

async fn post(to: &str) -> String {
    let client = clients::client(Duration::from_secs(5), &Proxies::default());
    client.post(TASK_ID, url(to), BODY.to_owned()).await.to_string()
}

/// Starts a peer that answers the first request with this status and these headers, in which `PORT` is its own port,
/// and all others with 200.
async fn redirecting(status: u16, headers: &'static str) -> Peer {
    Peer::choosing(move |request| {
        if !request.starts_with("POST /first") {
            return answer(OK);
        }
        let port = request
            .split("Host: 127.0.0.1:")
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .unwrap();
        answer(format!(
            "HTTP/1.1 {status} X\r\n{}\r\nContent-Length: 0\r\n\r\n",
            headers.replace("PORT", port)
        ))
    })
    .await
}

/// Returns the names of a request's headers.
fn headers(request: &str) -> Vec<&str> {
    request
        .split("\r\n\r\n")
        .next()
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| line.split(':').next().unwrap())
        .collect()
}

#[tokio::test]
async fn the_post_is_pythons() {
    let peer = Peer::playing(answer(OK)).await;
    let port = peer.port();
    assert_eq!(
        post(&format!("http://us%40er:p%3Aw@127.0.0.1:{port}/cb?x=é#f")).await,
        "<Response [200]>"
    );
    let expected = format!(
        "POST /cb?x=%C3%A9 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: python-requests/2.34.2\r\n\
         Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nContent-Length: 61\r\n\
         Content-Type: application/json\r\nAuthorization: Basic dXNAZXI6cDp3\r\nWebhook-Id: {TASK_ID}\r\n\r\n{BODY}"
    );
    assert_eq!(peer.requests(), [expected]);
}

#[tokio::test]
async fn the_longest_target_arrives_whole() {
    let peer = Peer::playing(answer(OK)).await;
    let target = format!("/{}", "p".repeat(200_000));
    assert_eq!(
        post(&format!("http://127.0.0.1:{}{target}", peer.port())).await,
        "<Response [200]>"
    );
    assert!(peer.requests()[0].starts_with(&format!("POST {target} HTTP/1.1\r\nHost: ")));
}

#[tokio::test]
async fn see_other_becomes_get_without_body() {
    for status in [301, 302, 303] {
        let peer = redirecting(status, "Location: /second").await;
        assert_eq!(
            post(&format!("http://127.0.0.1:{}/first", peer.port())).await,
            "<Response [200]>"
        );
        let second = &peer.requests()[1];
        assert!(
            second.starts_with("GET /second HTTP/1.1\r\n") && second.ends_with("\r\n\r\n"),
            "{second}"
        );
        assert_eq!(
            headers(second),
            ["Host", "User-Agent", "Accept-Encoding", "Accept", "Connection"]
        );
    }
}

#[tokio::test]
async fn temporary_redirects_repeat_the_post_with_credentials_and_cookies() {
    for status in [307, 308] {
        let peer = redirecting(status, "Location: /second\r\nSet-Cookie: a=1").await;
        assert_eq!(
            post(&format!("http://u:p@127.0.0.1:{}/first", peer.port())).await,
            "<Response [200]>"
        );
        let second = &peer.requests()[1];
        assert!(
            second.starts_with("POST /second HTTP/1.1\r\n") && second.ends_with(BODY),
            "{second}"
        );
        assert!(
            second.contains("\r\nAuthorization: Basic dTpw\r\nCookie: a=1\r\nWebhook-Id: "),
            "{second}"
        );
    }
}

#[tokio::test]
async fn credentials_stay_with_their_host_and_port() {
    let elsewhere = redirecting(307, "Location: http://x:y@localhost:PORT/second").await;
    let target = format!("http://u:p@127.0.0.1:{}/first", elsewhere.port());
    assert_eq!(post(&target).await, "<Response [200]>");
    let second = &elsewhere.requests()[1];
    assert!(
        second.contains("Host: localhost:") && !second.contains("Authorization"),
        "{second}"
    );

    let other_port = Peer::playing(answer(OK)).await;
    let location = format!("http://127.0.0.1:{}/second", other_port.port());
    let first = Peer::choosing(move |_| {
        answer(format!(
            "HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ))
    })
    .await;
    assert_eq!(
        post(&format!("http://u:p@127.0.0.1:{}/first", first.port())).await,
        "<Response [200]>"
    );
    assert!(!other_port.requests()[0].contains("Authorization"));
}

#[tokio::test]
async fn a_redirect_may_not_leave_the_permitted_networks() {
    let peer = redirecting(307, "Location: http://127.0.0.2:PORT/second").await;
    let config = CallbackConfig {
        targets: "127.0.0.1/32".parse().unwrap(),
        ..clients::config(Duration::from_secs(5))
    };
    let tls = Arc::new(tls::client_config(None).unwrap());
    let client = CallbackClient::new(config, tls, &Proxies::default());
    let port = peer.port();
    let status = client
        .post(
            TASK_ID,
            url(&format!("http://127.0.0.1:{port}/first")),
            BODY.to_owned(),
        )
        .await
        .to_string();
    let expected = "not a permitted callback target (CALLBACK_NETWORKS)";
    assert_eq!(
        status,
        format!("HTTPConnectionPool(host='127.0.0.2', port={port}): {expected}")
    );
    assert_eq!(peer.requests().len(), 1);
    let status = client
        .post(
            TASK_ID,
            url(&format!("http://127.0.0.3:{port}/first")),
            BODY.to_owned(),
        )
        .await
        .to_string();
    assert!(status.ends_with(expected), "{status}");
}

#[tokio::test]
async fn metadata_addresses_are_never_called() {
    for host in ["169.254.169.254", "[fe80::1]"] {
        let status = post(&format!("http://{host}/latest/meta-data")).await;
        assert!(
            status.ends_with("not a permitted callback target (CALLBACK_NETWORKS)"),
            "{host}: {status}"
        );
    }
}

#[tokio::test]
async fn proxies_get_the_absolute_form_and_their_own_credentials() {
    let proxy = Peer::playing(answer(OK)).await;
    let proxies = Proxies {
        http: format!("http://me:secret@127.0.0.1:{}", proxy.port()),
        no: "direct.test".to_owned(),
        ..Proxies::default()
    };
    let client = clients::client(Duration::from_secs(5), &proxies);
    let status = client
        .post(TASK_ID, url("http://u:p@a.test:81/cb?x=1"), BODY.to_owned())
        .await
        .to_string();
    assert_eq!(status, "<Response [200]>");
    let request = &proxy.requests()[0];
    assert!(
        request.starts_with("POST http://a.test:81/cb?x=1 HTTP/1.1\r\nHost: a.test:81\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nAuthorization: Basic dTpw\r\n"), "{request}");
    assert!(
        request.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let proxy = Peer::playing(vec![
        Step::Read,
        Step::Send(b"HTTP/1.1 200 Connected\r\n\r\n".to_vec()),
    ])
    .await;
    let proxies = Proxies {
        https: format!("127.0.0.1:{}", proxy.port()),
        ..Proxies::default()
    };
    let client = clients::client(Duration::from_secs(5), &proxies);
    let status = client
        .post(TASK_ID, url("https://a.test/cb"), BODY.to_owned())
        .await
        .to_string();
    assert!(
        status.contains("UNEXPECTED_EOF_WHILE_READING"),
        "the handshake begins in the tunnel: {status}"
    );
    assert_eq!(
        proxy.requests(),
        ["CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"]
    );
}
