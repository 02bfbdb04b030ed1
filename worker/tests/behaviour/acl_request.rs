//! The request to the ACL service, and how much of its answer counts.

use std::time::Duration;

use callback_client::proxy::Proxies;
use callback_client::tls;
use celery_protocol::Text;
use worker::acl_client::{AclClient, AclError};

use crate::peer::{Peer, answer, silent_after};
use crate::stack;

const STATION: &str = "5e3a0000-0000-4000-8000-000000000001";
const SECONDS: Duration = Duration::from_secs(5);

async fn ask(body: &str) -> Result<bool, AclError> {
    let length = body.len();
    let peer = Peer::playing(answer(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
    )))
    .await;
    let client = stack::acl_client(&format!("http://127.0.0.1:{}", peer.port()));
    client
        .is_allowed(STATION, &Text::from("validDriverToken-0001"), SECONDS)
        .await
}

#[tokio::test]
async fn the_request_is_pythons_but_for_the_order_of_headers() {
    let peer = Peer::playing(answer(
        "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"authorized\":1}",
    ))
    .await;
    let port = peer.port();
    let client = stack::acl_client(&format!("http://127.0.0.1:{port}/base"));
    let token = Text::from("Abcdefghij0123456789/../é?#%41");
    assert!(client.is_allowed(STATION, &token, SECONDS).await.unwrap());
    let request = peer.requests().remove(0);
    let mut lines: Vec<&str> = request.trim_end().lines().collect();
    assert_eq!(
        lines.remove(0),
        format!(
            "GET /base/station/{STATION}/driver/Abcdefghij0123456789%2F..%2F%C3%A9%3F%23%2541/acl HTTP/1.1"
        )
    );
    lines.sort_unstable();
    let host = format!("Host: 127.0.0.1:{port}");
    let expected = [
        "Accept-Encoding: gzip, deflate",
        "Accept: */*",
        "Connection: keep-alive",
        &host,
        "User-Agent: python-requests/2.34.2",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn either_key_counts_and_pythons_first() {
    assert!(ask(r#"{"allowed":true,"authorized":true}"#).await.unwrap());
    assert!(ask(r#"{"allowed":1}"#).await.unwrap());
    assert!(!ask(r#"{"allowed":true,"authorized":false}"#).await.unwrap());
    assert!(matches!(ask(r#"{"allowed":null}"#).await, Err(AclError::Unclear)));
}

#[tokio::test]
async fn an_endless_answer_is_none() {
    let padding = "x".repeat(64 * 1024);
    assert!(matches!(
        ask(&format!(r#"{{"authorized":1,"x":"{padding}"}}"#)).await,
        Err(AclError::TooLong)
    ));
}

#[tokio::test]
async fn the_deadline_counts_to_the_nanosecond() {
    let peer = Peer::playing(answer(
        "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"authorized\":1}",
    ))
    .await;
    let client = stack::acl_client(&format!("http://127.0.0.1:{}", peer.port()));
    let token = Text::from("validDriverToken-0001");
    for nanoseconds in [0, 1, 999] {
        let answer = client
            .is_allowed(STATION, &token, Duration::from_nanos(nanoseconds))
            .await;
        assert!(matches!(answer, Err(AclError::TimedOut)), "{answer:?}");
    }
}

#[tokio::test]
async fn errors_do_not_show_the_token() {
    let silent = Peer::playing(silent_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")).await;
    let bases = [silent.port(), harness::free_port()].map(|port| format!("http://127.0.0.1:{port}"));
    for base in bases {
        let client = stack::acl_client(&base);
        let token = Text::from("secretDriverToken-0001");
        let error = client
            .is_allowed(STATION, &token, Duration::from_millis(200))
            .await
            .unwrap_err();
        let error = format!("{:?}", anyhow::Error::from(error));
        assert!(!error.contains("secretDriverToken"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_whole_url() {
    let proxy = Peer::playing(answer(
        "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"authorized\":1}",
    ))
    .await;
    let proxies = Proxies {
        all: format!("127.0.0.1:{}", proxy.port()),
        ..Proxies::default()
    };
    let tls = tls::client_config(None).unwrap();
    let client = AclClient::new("http://acl.test:5000".to_owned(), tls, &proxies).unwrap();
    assert!(
        client
            .is_allowed(STATION, &Text::from("validDriverToken-0001"), SECONDS)
            .await
            .unwrap()
    );
    let request = proxy.requests().remove(0);
    assert!(
        request.starts_with(&format!("GET http://acl.test:5000/station/{STATION}/driver/")),
        "{request}"
    );
}
