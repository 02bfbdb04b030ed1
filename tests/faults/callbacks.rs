//! Callback receivers that misbehave. A callback counts once the receiver has read it; the record shows what
//! the receiver answered.

use std::time::Duration;

use harness::Reply;
use tokio::time::sleep;

use crate::rig::{Plan, Rig};

/// Makes every receiver answer with `reply` for eight seconds.
async fn misbehaving(fault: &str, reply: impl FnOnce(&Rig) -> Reply) {
    let mut rig = Rig::shared(Plan {
        callback_timeout: 2,
        concurrency: 1000,
        ..Plan::default()
    })
    .await;
    rig.calm().await;
    let reply = reply(&rig);
    rig.callbacks.answer(reply);
    sleep(Duration::from_secs(8)).await;
    rig.callbacks.answer(Reply::status(200));
    rig.over();
    let figures = rig.settle(fault).await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}

fn head(status: &str, rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{rest}").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn hang() {
    misbehaving("callback receivers: hang", |_| Reply::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drip() {
    misbehaving("callback receivers: drip a byte a second", |_| {
        Reply::Drip(
            Duration::from_secs(1),
            head("200 OK", "Content-Length: 0\r\n\r\n"),
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_bodies() {
    misbehaving("callback receivers: endless bodies", |_| {
        Reply::Endless(head("200 OK", "\r\n"), vec![b'x'; 16 * 1024])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_headers() {
    misbehaving("callback receivers: endless headers", |_| {
        Reply::Endless(
            head("200 OK", ""),
            b"X-More: and more and more and more\r\n".repeat(100),
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn close_early() {
    misbehaving("callback receivers: close early", |_| {
        Reply::Raw(head("200 OK", "Content-Length: 100\r\n\r\nshort"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_forever() {
    misbehaving("callback receivers: redirect forever", |rig| {
        Reply::redirect(307, &rig.callbacks.url("/again"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_to_link_local() {
    misbehaving("callback receivers: redirect to a link-local address", |_| {
        Reply::redirect(307, "http://169.254.169.254/latest/meta-data/")
    })
    .await;
}
