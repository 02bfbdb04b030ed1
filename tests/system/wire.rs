//! Snapshots of everything that our services send. Other tests compare the recorded behaviour row by row;
//! these show every change in what others receive.

use std::fmt::Write as _;
use std::time::Duration;

use harness::{Broker, Received, Receiver, Redis, Reply, http, redacted};
use serde_json::json;

use crate::load::TOKEN;
use crate::services::{Acl, Api, By, worker};

const STATION: &str = "5e3a0000-0000-4000-8000-00000000000A";
const WAIT: Duration = Duration::from_mins(1);

fn answer(response: &http::Response) -> String {
    let mut text = format!("{}\n", response.status);
    for (name, value) in &response.headers {
        let value = if name == "date" { "[date]" } else { value };
        writeln!(text, "{name}: {value}").expect("a text takes everything");
    }
    redacted(&format!("{text}\n{}", response.text()))
}

fn request(received: &Received) -> String {
    let mut text = format!("{} {}\n", received.method, received.target);
    for (name, value) in &received.headers {
        writeln!(text, "{name}: {value}").expect("a text takes everything");
    }
    redacted(&format!("{text}\n{}", String::from_utf8_lossy(&received.body)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_api() {
    let vhost = Broker::shared().await.vhost("wire-api").await;
    let api = Api::start(By::Rust, &vhost.amqp_url(), 5).await;
    let url = api.url(STATION, TOKEN);
    let accepted = http::get(&format!("{url}?callback_url=http://callback.test/%3Fa")).await;
    insta::assert_snapshot!("api_accepted", answer(&accepted));
    let message = vhost.get("celery", 1).await.remove(0);
    insta::assert_snapshot!("api_message", redacted(&message.shown()));

    for (name, method, target, headers, body) in [
        ("api_missing_url", "GET", url.clone(), vec![], String::new()),
        (
            "api_no_json",
            "POST",
            url.clone(),
            vec![("Content-Type", "application/json")],
            "{".to_owned(),
        ),
        (
            "api_not_found",
            "GET",
            format!("{}/station", api.0.url()),
            vec![],
            String::new(),
        ),
        ("api_wrong_method", "DELETE", url.clone(), vec![], String::new()),
        ("api_options", "OPTIONS", url.clone(), vec![], String::new()),
        (
            "api_merged_slashes",
            "GET",
            url.replacen("/driver", "//driver", 1),
            vec![],
            String::new(),
        ),
        (
            "api_large_body",
            "POST",
            url.clone(),
            vec![("Content-Type", "application/json")],
            json!({ "callback_url": "x".repeat(70_000) }).to_string(),
        ),
        (
            "api_long_url",
            "GET",
            format!("{url}?callback_url=http://a.test/{}", "x".repeat(20_000)),
            vec![],
            String::new(),
        ),
    ] {
        let response = http::send(method, &target, &headers, body).await;
        insta::assert_snapshot!(name, answer(&response));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_api_without_its_broker() {
    let mut broker = Broker::start().await;
    let vhost = broker.vhost("wire-down").await;
    let api = Api::start(By::Rust, &vhost.amqp_url(), 5).await;
    broker.stop().await;
    let response = http::get(&format!(
        "{}?callback_url=http://callback.test/",
        api.url(STATION, TOKEN)
    ))
    .await;
    insta::assert_snapshot!("api_unavailable", answer(&response));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acl_service() {
    let mut redis = Redis::start().await;
    let acl = Acl::start(By::Rust, &redis).await;
    let url = format!("{}/station/{STATION}/driver/{TOKEN}/acl", acl.0.url());
    for (name, method) in [
        ("acl_added", "PUT"),
        ("acl_allowed", "GET"),
        ("acl_head", "HEAD"),
        ("acl_removed", "DELETE"),
        ("acl_not_allowed", "GET"),
        ("acl_options", "OPTIONS"),
        ("acl_wrong_method", "PATCH"),
    ] {
        insta::assert_snapshot!(name, answer(&http::send(method, &url, &[], "").await));
    }
    redis.stop().await;
    insta::assert_snapshot!("acl_unavailable", answer(&http::get(&url).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker() {
    let vhost = Broker::shared().await.vhost("wire-worker").await;
    let redis = Redis::start().await;
    let acl = Receiver::start_with(|_| Reply::json(&json!({ "authorized": 0 }))).await;
    let asked = Acl(harness::Service {
        process: harness::Process::spawn("sleep", ["600"], [("", ""); 0]),
        port: acl.port(),
    });
    let callbacks = Receiver::start().await;
    let _worker = worker(By::Rust, &vhost, &asked, &redis, 1).await;
    let api = Api::start(By::Rust, &vhost.amqp_url(), 60).await;
    api.authorize(STATION, "token-with-%C3%BC-and-more", &callbacks.url("/done?a=b"))
        .await;
    api.authorize(
        STATION,
        "validDriverToken-0001%C3%BC%3F",
        &callbacks.url("/done?a=b"),
    )
    .await;
    let calls = callbacks.wait_for(2, WAIT).await;
    insta::assert_snapshot!("acl_request", request(&acl.wait_for(1, WAIT).await[0]));
    insta::assert_snapshot!("callback_invalid", request(&calls[0]));
    insta::assert_snapshot!("callback_not_allowed", request(&calls[1]));
    let records = harness::eventually("both records", WAIT, || async {
        let records = redis.audit_records().await;
        if records.len() == 2 {
            Ok(records)
        } else {
            Err(format!("{} records", records.len()))
        }
    })
    .await;
    let shown: Vec<String> = records
        .iter()
        .map(|record| format!("{}\n{:#?}", record.key, record.fields))
        .collect();
    insta::assert_snapshot!("audit_records", redacted(&shown.join("\n\n")));
}
