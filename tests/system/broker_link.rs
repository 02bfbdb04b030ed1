//! The public API's connection to its broker: the `broker-*` rows of public-api-http.jsonl that need a real
//! broker. When Python answers 500, or 200 for a request that is lost, ours answers 503 (docs/MIGRATION.md).

use std::time::Duration;

use harness::{Broker, Proxy, Vhost, eventually};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::services::{Api, By};

const TOKEN: &str = "validDriverToken-0001";
const WAIT: Duration = Duration::from_mins(1);

/// The limit for a refusal, which is promised within three seconds. A request that nobody refuses is given up
/// after thirty seconds, with a different message, so this limit separates the two on the busiest machine.
const REFUSED: Duration = Duration::from_secs(20);

/// The status that a caller gets, how long it took, and the callback URLs in the queue afterwards.
async fn ask(api: &Api, vhost: &Vhost, case: &str) -> (u16, Duration, Vec<String>) {
    let start = Instant::now();
    let callback = format!("http://cb.example.com/{case}");
    let answer = api
        .authorize(&Uuid::new_v4().to_string(), TOKEN, &callback)
        .await
        .expect("an answer");
    let took = start.elapsed();
    if answer.status == 503 {
        assert!(answer.header("retry-after").is_some(), "{case}");
        assert!(answer.json()["error"].is_string(), "{case}: {}", answer.text());
    }
    (answer.status, took, queued(vhost).await)
}

async fn queued(vhost: &Vhost) -> Vec<String> {
    if vhost
        .find_queue("celery")
        .await
        .is_none_or(|depth| depth.ready == 0)
    {
        return Vec::new();
    }
    let url = |body: &[u8]| -> String {
        let body: Value = serde_json::from_slice(body).expect("JSON");
        body[0][2].as_str().expect("a callback URL").to_owned()
    };
    vhost
        .get("celery", 10)
        .await
        .iter()
        .map(|message| url(&message.body))
        .collect()
}

async fn eventually_accepted(api: &Api, vhost: &Vhost, case: &str) {
    eventually(format!("{case}: a request accepted"), WAIT, || async {
        match ask(api, vhost, case).await {
            (200, _, queued) if queued.iter().any(|url| url.ends_with(case)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_virtual_host_is_a_503_at_once() {
    let vhost = Broker::shared().await.vhost("link").await;
    let address = vhost.address();
    for (case, url) in [
        (
            "broker-wrong-password",
            format!("amqp://guest:se-cret@{address}/{}", vhost.name()),
        ),
        (
            "broker-vhost-missing",
            format!("amqp://guest:guest@{address}/no_such_vhost"),
        ),
    ] {
        let api = Api::start(By::Rust, &url, 5).await;
        for _ in 0..2 {
            let (status, took, queued) = ask(&api, &vhost, case).await;
            assert_eq!((status, queued), (503, Vec::new()), "{case}");
            assert!(took < REFUSED, "{case}: {took:?}");
        }
        assert!(!api.0.process.tail().contains("se-cret"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_or_silent_link_never_loses_what_was_accepted() {
    let vhost = Broker::shared().await.vhost("link").await;
    let proxy = Proxy::start(vhost.address()).await;
    let api = Api::start(By::Rust, &vhost.amqp_url_at(proxy.port()), 5).await;
    eventually_accepted(&api, &vhost, "broker-link:normal").await;

    vhost.close_all_connections().await;
    eventually_accepted(
        &api,
        &vhost,
        "broker-link:connection-closed-by-broker-before-publish",
    )
    .await;
    eventually_accepted(&api, &vhost, "broker-link:next-after-reconnect").await;

    proxy.cut();
    let (status, took, queued) = ask(&api, &vhost, "broker-link:broker-gone").await;
    assert_eq!((status, queued), (503, Vec::new()));
    assert!(took < REFUSED, "{took:?}");
    proxy.restore();
    eventually_accepted(&api, &vhost, "broker-link:broker-back").await;

    proxy.silence();
    for case in [
        "broker-link:broker-hangs-bytes-swallowed",
        "broker-link:broker-hangs-second",
    ] {
        let (status, took, queued) = ask(&api, &vhost, case).await;
        assert_eq!((status, queued), (503, Vec::new()), "{case}");
        assert!(took < REFUSED, "{case}: {took:?}");
    }
    proxy.restore();
    eventually_accepted(&api, &vhost, "broker-link:after-hang").await;
}
