//! A worker that is connected but receives nothing reconnects by itself, and reports that it is not ready.

use std::time::Duration;

use celery_runtime::Status;

use super::rig::Rig;
use super::starving::Starving;
use super::vhost;

/// Longest time without a message in these tests.
const PATIENCE: Duration = Duration::from_secs(1);

async fn start(name: &str) -> (Rig, Starving) {
    let vhost = vhost(name).await;
    let relay = Starving::start(vhost.address()).await;
    let through_it = vhost.amqp_url_at(relay.port()).parse().expect("a broker URL");
    let rig = Rig::start(vhost, |config| {
        config.broker = through_it;
        config.concurrency = 2;
        config.prefetch_multiplier = 1;
        config.progress_timeout = PATIENCE;
    })
    .await;
    (rig, relay)
}

/// Sends more messages than the window holds, so that some stay ready.
async fn send_five(rig: &Rig) -> Vec<String> {
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(rig.send(&Rig::call("demo.echo")).await);
    }
    sent.sort();
    sent
}

async fn five_runs(rig: &mut Rig) -> Vec<String> {
    let mut run = Vec::new();
    for _ in 0..5 {
        run.push(rig.run().await.0);
    }
    run.sort();
    run
}

fn is_stalled(status: &Status) -> bool {
    matches!(status, Status::Stalled(reason) if reason.starts_with("3 messages are ready, but none has arrived for "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starved_consumer_is_replaced() {
    let (mut rig, relay) = start("starved").await;
    relay.starve();
    let sent = send_five(&rig).await;
    rig.status_is(is_stalled).await;
    relay.feed();
    assert_eq!(five_runs(&mut rig).await, sent);
    rig.status_is(|status| *status == Status::Consuming).await;
    rig.queue_is(0, 0).await;
    assert_eq!(rig.stopped().await, 0);
}

/// After reconnecting without success, the worker is still not ready; it is ready again as soon as someone else has
/// done the work.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stays_starved_is_not_ready_until_nothing_is_left_to_do() {
    let (mut rig, relay) = start("starved-on").await;
    let connections = relay.connections();
    relay.starve();
    send_five(&rig).await;
    rig.status_is(is_stalled).await;
    relay.connected(connections + 1).await;
    let status = rig.status_is(|status| *status != Status::Consuming).await;
    assert!(is_stalled(&status), "{status:?}");
    rig.vhost.delete_queue("celery").await;
    rig.status_is(|status| *status == Status::Consuming).await;
    assert_eq!(rig.stopped().await, 0);
}

/// Full slots are not a reason to reconnect, however many messages are ready and however long the slots stay full.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_worker_is_left_alone() {
    let (mut rig, relay) = start("busy").await;
    let connections = relay.connections();
    let mut sent = Vec::new();
    for _ in 0..8 {
        sent.push(rig.send(&Rig::call("demo.gate")).await);
    }
    rig.started(2).await;
    tokio::time::sleep(PATIENCE * 4).await;
    assert_eq!(relay.connections(), connections);
    rig.gate.add_permits(sent.len());
    for _ in 0..sent.len() {
        rig.run().await;
    }
    rig.queue_is(0, 0).await;
    assert_eq!(rig.stopped().await, 0);
}
