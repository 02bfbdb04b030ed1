//! Callbacks through a proxy, and the part of the target policy that still applies to them (behaviour 3, ADR 11).

use std::time::Duration;

use callback_client::callback_url::{Judgement, judge};
use callback_client::proxy::Proxies;

use crate::clients;
use crate::peer::{Peer, answer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

async fn post(to: &str, proxies: &Proxies) -> String {
    let client = clients::client(Duration::from_secs(30), proxies);
    let Judgement::Sendable(url) = judge(to) else {
        panic!("{to} cannot be sent to");
    };
    client.post("id", url, "{}".to_owned()).await.to_string()
}

/// Returns whether a callback to a server on 127.0.0.1, addressed as `host`, goes through a proxy.
async fn is_proxied(host: &str, proxies: impl Fn(String) -> Proxies) -> bool {
    let (server, proxy) = (Peer::playing(answer(OK)).await, Peer::playing(answer(OK)).await);
    let proxies = proxies(format!("http://127.0.0.1:{}", proxy.port()));
    let url = format!("http://{host}:{}/", server.port());
    assert_eq!(post(&url, &proxies).await, "<Response [200]>");
    assert_eq!(server.requests().len() + proxy.requests().len(), 1);
    !proxy.requests().is_empty()
}

#[tokio::test]
async fn the_scheme_chooses_and_all_stands_in() {
    let nowhere = "http://127.0.0.1:1";
    let http = |proxy| Proxies {
        http: proxy,
        all: nowhere.to_owned(),
        ..Proxies::default()
    };
    let all = |proxy| Proxies {
        https: nowhere.to_owned(),
        all: proxy,
        ..Proxies::default()
    };
    let https = |proxy| Proxies {
        https: proxy,
        ..Proxies::default()
    };
    assert!(is_proxied("127.0.0.1", http).await);
    assert!(is_proxied("127.0.0.1", all).await);
    assert!(!is_proxied("127.0.0.1", https).await);
}

#[tokio::test]
async fn no_proxy_names_addresses_and_networks() {
    for (host, no, proxied) in [
        ("127.0.0.1", "127.0.0.1", false),
        ("127.0.0.1", "other.test, 127.0.0.1", false),
        ("127.0.0.1", "127.0.0.0/8", false),
        ("127.0.0.1", "10.0.0.0/8", true),
    ] {
        let proxies = |proxy| Proxies {
            http: proxy,
            no: no.to_owned(),
            ..Proxies::default()
        };
        assert_eq!(is_proxied(host, proxies).await, proxied, "{host}, NO_PROXY={no}");
    }
}

#[test]
fn no_proxy_names_hosts_and_whole_trailing_labels() {
    for (no, proxied) in [
        ("receiver.test", false),
        ("other.test, RECEIVER.test", false),
        ("test", false),
        (".test", false),
        ("eiver.test", true),
        ("receiver.test:8000", true),
        ("other.test", true),
    ] {
        let proxies = Proxies {
            http: "http://proxy.test:3128".to_owned(),
            no: no.to_owned(),
            ..Proxies::default()
        };
        let url = "http://receiver.test:8000/".parse().unwrap();
        let chosen = proxies.matcher().intercept(&url);
        assert_eq!(chosen.is_some(), proxied, "NO_PROXY={no}");
    }
}

#[tokio::test]
async fn addresses_that_are_refused_always_do_not_reach_a_proxy() {
    let proxy = Peer::playing(answer(OK)).await;
    let proxies = Proxies {
        all: format!("http://127.0.0.1:{}", proxy.port()),
        ..Proxies::default()
    };
    for host in [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[fd00:ec2::254]",
    ] {
        for scheme in ["http", "https"] {
            let status = post(&format!("{scheme}://{host}/"), &proxies).await;
            assert!(
                status.ends_with("not a permitted callback target (CALLBACK_NETWORKS)"),
                "{scheme}://{host}/: {status}"
            );
        }
    }
    assert!(proxy.requests().is_empty());
}
