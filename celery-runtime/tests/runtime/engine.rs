//! The worker engine on a real broker, with the test's own tasks.

mod duplicates;
mod progress;
mod rig;
mod starving;

use std::time::Duration;

use celery_runtime::{Producer, ProducerConfig, PublishError};
use harness::{Broker, Proxy, Vhost, eventually};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use self::rig::{Rig, WAIT};

pub(crate) async fn vhost(name: &str) -> Vhost {
    Broker::shared().await.vhost(name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn held_messages_leave_the_window_open() {
    let mut rig = Rig::start(vhost("eta").await, |config| {
        config.concurrency = 2;
        config.prefetch_multiplier = 2;
    })
    .await;
    let much_later = Timestamp::now() + SignedDuration::from_hours(1);
    for _ in 0..12 {
        send_for(&rig, much_later).await;
    }
    let at_once = rig.send(&Rig::call("demo.echo")).await;
    let (first, _) = rig.run().await;
    assert_eq!(first, at_once, "three windows of held messages do not block it");
    let soon = Timestamp::now() + SignedDuration::from_secs(2);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(send_for(&rig, soon).await);
    }
    for _ in 0..held.len() {
        let (id, when) = rig.run().await;
        assert!(when >= soon, "{id} ran {when}, before its ETA {soon}");
        held.retain(|known| *known != id);
    }
    assert!(held.is_empty());
    rig.queue_is(0, 12).await;
    assert_eq!(rig.stopped().await, 0);
}

/// Renewed windows must not draw the whole queue into one worker: with a window of 4, what waits for a slot stays below two of
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn held_messages_among_others_do_not_draw_the_whole_queue_into_the_worker() {
    let vhost = vhost("mixed").await;
    let producer = Producer::start(ProducerConfig {
        broker: vhost.amqp_url().parse().expect("a broker URL"),
        queue: "celery".to_owned(),
        deadline: WAIT,
        name: "before".to_owned(),
    });
    let much_later = Timestamp::now() + SignedDuration::from_hours(1);
    for _ in 0..10 {
        let mut held = Rig::call("demo.echo");
        held.eta = Some(much_later.to_string());
        for call in [held, Rig::call("demo.gate")] {
            producer.send(&call).await.expect("the broker accepts it");
        }
    }
    let mut rig = Rig::start(vhost, |config| {
        config.concurrency = 1;
        config.prefetch_multiplier = 4;
    })
    .await;
    rig.queue_is(8, 12).await;
    rig.gate.add_permits(10);
    for _ in 0..10 {
        rig.run().await;
    }
    rig.queue_is(0, 10).await;
    assert_eq!(rig.stopped().await, 0);
}

/// Sends a task that must not run before this time, and returns its id.
async fn send_for(rig: &Rig, eta: Timestamp) -> String {
    let mut call = Rig::call("demo.echo");
    call.eta = Some(eta.to_string());
    rig.send(&call).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failed_task_and_the_worker_continues() {
    let mut rig = Rig::start(vhost("panic").await, |_| {}).await;
    rig.send(&Rig::call("demo.panic")).await;
    let id = rig.send(&Rig::call("demo.echo")).await;
    assert_eq!(rig.run().await.0, id);
    rig.queue_is(0, 0).await;
    assert_eq!(rig.stopped().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requeued_message_is_redelivered_and_runs_again() {
    let mut rig = Rig::start(vhost("reject").await, |_| {}).await;
    let id = rig.send(&Rig::call("demo.reject_once")).await;
    assert_eq!((rig.run().await.0, rig.run().await.0), (id.clone(), id));
    rig.queue_is(0, 0).await;
    assert_eq!(rig.stopped().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_tasks_leave_the_queue_and_the_worker_continues() {
    let mut rig = Rig::start(vhost("garbage").await, |_| {}).await;
    let typed = json!({"content_type": "application/json", "content_encoding": "utf-8"});
    let task = |name: &str| {
        let headers = json!({"task": name, "id": "42", "lang": "py"});
        json!({"content_type": "application/json", "content_encoding": "utf-8", "headers": headers})
    };
    for (properties, body) in [
        (json!({}), &b""[..]),
        (typed, b"[1]"),
        (task("no.such.task"), b"[[], {}, null]"),
        (task("demo.echo"), b"not json"),
        (task("demo.echo"), b"{}"),
        (task("demo.echo"), b"[]"),
        (
            json!({"content_type": "application/x-python-serialize", "headers": {"task": "demo.echo", "id": "1"}}),
            b"\x80",
        ),
    ] {
        rig.vhost.publish("", "celery", &properties, body).await;
    }
    let id = rig.send(&Rig::call("demo.echo")).await;
    assert_eq!(rig.run().await.0, id);
    rig.queue_is(0, 0).await;
    assert_eq!(rig.stopped().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_used_as_it_is() {
    let vhost = vhost("priority").await;
    vhost.declare_queue("celery", &json!({"x-max-priority": 9})).await;
    let mut rig = Rig::start(vhost, |_| {}).await;
    let id = rig.send(&Rig::call("demo.echo")).await;
    assert_eq!(rig.run().await.0, id);
    assert_eq!(rig.stopped().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_declared_again_by_worker_and_producer() {
    let mut rig = Rig::start(vhost("deleted").await, |_| {}).await;
    let first = rig.send(&Rig::call("demo.echo")).await;
    assert_eq!(rig.run().await.0, first);
    rig.vhost.delete_queue("celery").await;
    let second = rig.send(&Rig::call("demo.echo")).await;
    assert_eq!(rig.run().await.0, second);
    assert_eq!(rig.stopped().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_shutdown_returns_running_messages_to_the_queue() {
    let mut rig = Rig::start(vhost("cold").await, |config| config.concurrency = 1).await;
    rig.send(&Rig::call("demo.gate")).await;
    rig.send(&Rig::call("demo.gate")).await;
    rig.queue_is(0, 2).await;
    rig.stop.cold();
    assert_eq!(rig.ended().await, 0);
    rig.queue_is(2, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_shutdown_finishes_running_tasks_and_returns_waiting_messages() {
    let mut rig = Rig::start(vhost("warm").await, |config| config.concurrency = 1).await;
    rig.send(&Rig::call("demo.gate")).await;
    rig.send(&Rig::call("demo.gate")).await;
    rig.queue_is(0, 2).await;
    rig.stop.warm();
    rig.gate.add_permits(2);
    rig.run().await;
    assert_eq!(rig.ended().await, 0);
    rig.queue_is(1, 0).await;
}

/// Covers Celery's default: a message is acked when its run starts, so none is unacked during the run.
#[tokio::test(flavor = "multi_thread")]
async fn early_acks_precede_the_run() {
    let mut rig = Rig::start(vhost("early").await, |config| config.acks_late = false).await;
    let id = rig.send(&Rig::call("demo.gate")).await;
    rig.started(1).await;
    rig.queue_is(0, 0).await;
    rig.gate.add_permits(1);
    assert_eq!(rig.run().await.0, id);
    assert_eq!(rig.stopped().await, 0);
}

/// A quorum queue refuses the argument that cancels a consumer when its queue is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_that_is_not_configured_is_consumed() {
    let vhost = vhost("quorum").await;
    vhost
        .declare_queue("celery", &json!({"x-queue-type": "quorum"}))
        .await;
    let mut rig = Rig::start(vhost, |_| {}).await;
    let id = rig.send(&Rig::call("demo.echo")).await;
    assert_eq!(rig.run().await.0, id);
    assert_eq!(rig.stopped().await, 0);
}

/// The connection is silent while the producer connects, so that its messages are sent on no connection at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_connection_does_not_count_against_the_next_one() {
    let vhost = vhost("suspect").await;
    let proxy = Proxy::start(vhost.address()).await;
    proxy.silence();
    let producer = Producer::start(ProducerConfig {
        broker: vhost.amqp_url_at(proxy.port()).parse().expect("a broker URL"),
        queue: "celery".to_owned(),
        deadline: Duration::from_millis(200),
        name: "test".to_owned(),
    });
    let silent = producer.send(&Rig::call("demo.echo")).await;
    assert!(matches!(silent, Err(PublishError::Deadline(_))), "{silent:?}");
    // One connection, or as many as were given up until now.
    let silent = proxy.accepted();
    proxy.restore();
    eventually("a connection", WAIT, || async {
        if producer.is_connected() {
            Ok(())
        } else {
            Err("none".to_owned())
        }
    })
    .await;

    // No connection is opened after the first successful one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(proxy.accepted(), silent + 1);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_without_a_broker_reports_it_within_its_deadline() {
    let mut broker = Broker::start().await;
    let vhost = broker.vhost("producer").await;
    let producer = Producer::start(ProducerConfig {
        broker: vhost.amqp_url().parse().expect("a broker URL"),
        queue: "celery".to_owned(),
        deadline: Duration::from_secs(2),
        name: "test".to_owned(),
    });
    eventually("a confirmed message", WAIT, || async {
        producer
            .send(&Rig::call("demo.echo"))
            .await
            .map_err(|error| error.to_string())
    })
    .await;

    broker.freeze();
    let start = tokio::time::Instant::now();
    let silent = producer.send(&Rig::call("demo.echo")).await;
    assert!(matches!(silent, Err(PublishError::Deadline(_))), "{silent:?}");
    // The broker is silent while it is frozen, so any bound distinguishes the deadline from waiting for its answer.
    assert!(start.elapsed() < WAIT, "{:?}", start.elapsed());
    broker.thaw();

    broker.stop().await;
    let gone = eventually("a refusal", WAIT, || async {
        match producer.send(&Rig::call("demo.echo")).await {
            Err(error @ PublishError::NotConnected(_)) => Ok(error.to_string()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(
        gone.contains("127.0.0.1") && !gone.contains("guest:guest"),
        "{gone}"
    );
    broker.start_again().await;
    eventually("a confirmed message", WAIT, || async {
        producer
            .send(&Rig::call("demo.echo"))
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    producer.close().await;
}
