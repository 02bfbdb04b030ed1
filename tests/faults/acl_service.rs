//! An ACL service that answers badly. Every request is still called back, with `unknown` if there is no
//! verdict.

use std::time::Duration;

use harness::{Proxy, Receiver, Reply};
use tokio::time::sleep;

use crate::rig::{Plan, Rig};

/// Puts a bad service in the place of the ACL service for eight seconds, by way of a proxy.
async fn replaced(fault: &str, plan: Plan, by: impl Fn() -> Reply + Send + Sync + 'static) {
    let bad = Receiver::start_with(move |_| by()).await;
    // The proxy leads nowhere yet, but nobody sends requests yet.
    let proxy = Proxy::start("127.0.0.1:9").await;
    let mut rig = Rig::shared(Plan {
        acl_url: Some(format!("http://127.0.0.1:{}", proxy.port())),
        ..plan
    })
    .await;
    proxy.lead_to(rig.acl.address());
    rig.calm().await;
    proxy.lead_to(format!("127.0.0.1:{}", bad.port()));
    sleep(Duration::from_secs(8)).await;
    proxy.lead_to(rig.acl.address());
    rig.over();
    let figures = rig.settle(fault).await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
    assert!(figures.statuses["unknown"] > 100, "{figures:?}");
    assert!(figures.statuses["not_allowed"] > 1000, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow() {
    let plan = Plan {
        authorization_timeout: 3,
        concurrency: 1000,
        ..Plan::default()
    };
    replaced("ACL service: slow (10 s) for 8 s", plan, || {
        Reply::After(Duration::from_secs(10), Box::new(Reply::status(200)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage() {
    replaced("ACL service: garbage for 8 s", Plan::default(), || {
        Reply::Raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"authorized\": \xff<html>".to_vec(),
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless() {
    let plan = Plan {
        authorization_timeout: 3,
        concurrency: 1000,
        ..Plan::default()
    };
    replaced("ACL service: endless answer for 8 s", plan, || {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec();
        Reply::Endless(head, vec![b' '; 16 * 1024])
    })
    .await;
}
