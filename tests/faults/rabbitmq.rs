//! Failures of RabbitMQ. Every test has a broker of its own, except those that affect only one queue.

use std::time::{Duration, Instant};

use harness::{Broker, Reply};
use tokio::time::sleep;

use crate::ledger::Answer;
use crate::rig::{Plan, Rig};

async fn own() -> (Broker, Rig) {
    let broker = Broker::start().await;
    let vhost = broker.vhost("fault").await;
    (broker, Rig::start(vhost, Plan::default()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped() {
    let (mut broker, mut rig) = own().await;
    rig.calm().await;
    broker.stop().await;
    broker.start_again().await;
    rig.over();
    let figures = rig.settle("RabbitMQ: stopped").await;
    assert!(figures.refused > 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed() {
    let (mut broker, mut rig) = own().await;
    rig.calm().await;
    broker.kill();
    broker.start_again().await;
    rig.over();
    let figures = rig.settle("RabbitMQ: kill -9").await;
    assert!(figures.refused > 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted() {
    let (broker, mut rig) = own().await;
    rig.calm().await;
    broker.ctl(&["stop_app"]).await;
    broker.ctl(&["start_app"]).await;
    rig.over();
    let figures = rig.settle("RabbitMQ: restarted within its node").await;
    assert!(figures.refused > 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen() {
    let (broker, mut rig) = own().await;
    rig.calm().await;
    broker.freeze();
    sleep(Duration::from_secs(8)).await;
    broker.thaw();
    rig.over();
    let figures = rig.settle("RabbitMQ: does nothing for 8 s (SIGSTOP)").await;
    assert!(figures.refused > 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_closed() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    for _ in 0..5 {
        assert!(rig.vhost.close_all_connections().await > 0);
        sleep(Duration::from_secs(3)).await;
    }
    rig.over();
    rig.settle("RabbitMQ: closes all connections, five times").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_alarm() {
    let (broker, mut rig) = own().await;
    rig.calm().await;
    broker
        .ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"])
        .await;
    sleep(Duration::from_secs(8)).await;
    broker
        .ctl(&["set_vm_memory_high_watermark", "absolute", "1GB"])
        .await;
    rig.over();
    let figures = rig
        .settle("RabbitMQ: memory alarm for 8 s (connection.blocked)")
        .await;
    assert!(figures.refused > 1000, "{figures:?}");
}

/// The receivers are slow, so that messages wait in the queue. The operator's deletion loses the messages in
/// the queue, including those prefetched by the worker or on their way to it. Running tasks still finish.
#[tokio::test(flavor = "multi_thread")]
async fn queue_deleted() {
    let mut rig = Rig::shared(Plan {
        concurrency: 20,
        ..Plan::default()
    })
    .await;
    rig.calm().await;
    rig.callbacks
        .answer(Reply::After(Duration::from_secs(1), Box::new(Reply::status(200))));
    sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    let unacked = rig.vhost.queue("celery").await.unacked;
    let ready = rig.vhost.delete_queue_counting("celery", false).await.unwrap();
    let taken = under_way(&rig, began);
    rig.over();
    rig.callbacks.answer(Reply::status(200));
    assert!(ready > 100, "{ready} messages were in the queue");
    let taken = taken + usize::try_from(ready + unacked).unwrap();
    let figures = rig
        .settle_but_for("RabbitMQ: queue deleted with what is in it", taken)
        .await;
    assert!(figures.called_back >= figures.accepted - taken, "{figures:?}");
}

/// Nothing waits in the queue. Messages that the worker has prefetched count as in the test above.
#[tokio::test(flavor = "multi_thread")]
async fn consumer_cancelled() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    let mut taken = 0;
    let mut deleted = 0;
    for _ in 0..5 {
        let began = Instant::now();
        let unacked = rig.vhost.queue("celery").await.unacked;
        if rig.vhost.delete_queue_counting("celery", true).await.is_some() {
            deleted += 1;
            taken += under_way(&rig, began) + usize::try_from(unacked).unwrap();
        }
        sleep(Duration::from_secs(2)).await;
    }
    rig.over();
    println!("{deleted} of 5 deletions found an empty queue");
    assert!(deleted > 0);
    rig.settle_but_for("RabbitMQ: queue deleted when empty, consumer cancelled", taken)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_crashes() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    for _ in 0..3 {
        rig.vhost.crash_queue("celery").await;
        sleep(Duration::from_secs(3)).await;
    }
    rig.over();
    rig.settle("RabbitMQ: process of the queue dies").await;
}

/// The number of requests accepted since then that have no callback yet.
fn under_way(rig: &Rig, since: Instant) -> usize {
    let mut count = 0;
    rig.ledger.each(|request| {
        count += usize::from(
            request.answer == Answer::Accepted && request.answered >= since && request.called_back.is_empty(),
        );
    });
    count
}
