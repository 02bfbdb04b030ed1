//! Redelivered messages whose run is still active here, or has just ended.

use std::sync::atomic::Ordering;
use std::time::Duration;

use celery_runtime::Status;
use harness::Proxy;
use jiff::{SignedDuration, Timestamp};

use super::rig::Rig;
use super::vhost;

/// The broker redelivers messages that were unacked when the connection was lost; the run is still active here.
#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_run_that_is_still_active_is_not_run_twice() {
    let mut rig = Rig::start(vhost("redelivered").await, |_| {}).await;
    let id = rig.send(&Rig::call("demo.sleep")).await;
    rig.started(1).await;
    rig.vhost.close_all_connections().await;
    assert_eq!(rig.run().await.0, id);
    rig.queue_is(0, 0).await;
    assert_eq!(rig.sleeping.load(Ordering::SeqCst), 1);
    assert_eq!(rig.stopped().await, 0);
}

/// The message was acked when the run ended, but the ack was lost with the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_run_that_has_just_ended_is_settled_and_not_run_again() {
    let vhost = vhost("ended").await;
    let proxy = Proxy::start(vhost.address()).await;
    let through_it = vhost.amqp_url_at(proxy.port()).parse().expect("a broker URL");
    let mut rig = Rig::start(vhost, |config| config.broker = through_it).await;
    let id = rig.send(&Rig::call("demo.gate")).await;
    rig.started(1).await;
    proxy.silence();
    rig.gate.add_permits(1);
    assert_eq!(rig.run().await.0, id);
    rig.queue_is(0, 1).await;
    proxy.cut();
    rig.status_is(|status| *status != Status::Consuming).await;
    proxy.restore();
    rig.status_is(|status| *status == Status::Consuming).await;
    rig.queue_is(0, 0).await;
    assert_eq!(rig.sleeping.load(Ordering::SeqCst), 1, "it has run once");
    assert_eq!(rig.stopped().await, 0);
}

/// Two messages with one task id are both redelivered while a run of it is active: each is settled when the run
/// ends.
#[tokio::test(flavor = "multi_thread")]
async fn each_redelivery_of_a_run_is_settled() {
    let mut rig = Rig::start(vhost("twins").await, |_| {}).await;
    let call = Rig::call("demo.sleep");
    rig.send(&call).await;
    rig.send(&call).await;
    rig.started(2).await;
    rig.vhost.close_all_connections().await;
    for _ in 0..2 {
        assert_eq!(rig.run().await.0, call.id);
    }
    rig.queue_is(0, 0).await;
    assert_eq!(rig.sleeping.load(Ordering::SeqCst), 2);
    assert_eq!(rig.stopped().await, 0);
}

/// The task started in time; its redelivery arrives after `expires` and must not be acked while the run is active.
#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_that_has_expired_stands_for_the_run_that_is_still_active() {
    let vhost = vhost("expired").await;
    let proxy = Proxy::start(vhost.address()).await;
    let through_it = vhost.amqp_url_at(proxy.port()).parse().expect("a broker URL");
    let mut rig = Rig::start(vhost, |config| config.broker = through_it).await;
    let expires = Timestamp::now() + SignedDuration::from_secs(5);
    let mut call = Rig::call("demo.gate");
    call.expires = Some(expires.to_string());
    rig.send(&call).await;
    rig.started(1).await;
    let left = Duration::try_from(expires.duration_since(Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_millis(1)).await;
    proxy.cut();
    rig.status_is(|status| *status != Status::Consuming).await;
    proxy.restore();
    // It comes after the redelivery.
    let next = rig.send(&Rig::call("demo.echo")).await;
    assert_eq!(rig.run().await.0, next);
    rig.queue_is(0, 1).await;
    rig.gate.add_permits(1);
    assert_eq!(rig.run().await.0, call.id);
    rig.queue_is(0, 0).await;
    assert_eq!(rig.stopped().await, 0);
}

/// An application may use a task id twice. What became of the first message does not count for the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_requeued_runs_again_although_its_id_has_ended_before() {
    let mut rig = Rig::start(vhost("reused").await, |_| {}).await;
    let mut call = Rig::call("demo.echo");
    rig.send(&call).await;
    assert_eq!(rig.run().await.0, call.id);
    rig.queue_is(0, 0).await;
    call.task = "demo.reject_once".to_owned();
    rig.send(&call).await;
    for _ in 0..2 {
        assert_eq!(rig.run().await.0, call.id);
    }
    rig.queue_is(0, 0).await;
    assert_eq!(rig.stopped().await, 0);
}
