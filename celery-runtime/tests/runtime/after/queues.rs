//! Queues with priorities, and quorum queues with native delayed delivery.

use celery_protocol::{Dict, Signature, Value};
use celery_runtime::{ExchangeType, Queue};
use harness::python;
use jiff::SignedDuration;
use serde_json::json;

use super::log;
use super::rig::{DIRECTORY, Rig, vhost};

/// The queue is declared with priorities, and the messages with the highest priority run first.
#[tokio::test(flavor = "multi_thread")]
async fn the_highest_priority_runs_first() {
    let mut rig = Rig::start(vhost("priority").await, |config| {
        config.known_queues = vec![Queue::named("celery").with_max_priority(9)];
        config.concurrency = 1;
        config.prefetch_multiplier = 1;
    })
    .await;
    let prefetched = ["demo.gate", "demo.gate"];
    for task in prefetched {
        rig.send(&Rig::call(task, Vec::new())).await;
    }
    rig.run_of("demo.gate").await;
    for priority in [1, 9, 5] {
        let mut call = Rig::call("demo.echo", vec![Value::from(i64::from(priority))]);
        call.priority = Some(priority);
        rig.send(&call).await;
    }
    rig.queue_is("celery", 4, 1).await;
    rig.gate.add_permits(prefetched.len());
    let mut order = Vec::new();
    for _ in 0..3 {
        let run = rig.run_of("demo.echo").await;
        assert_eq!(
            run.message
                .priority
                .map(|priority| Value::from(i64::from(priority))),
            Some(run.args()[0].clone())
        );
        order.push(run.args()[0].as_i64());
    }
    assert_eq!(order, [Some(9), Some(5), Some(1)]);
    rig.stopped().await;
}

async fn later(rig: &Rig, kind: &str, program: &str) -> String {
    let program = format!("from tasks import *\n{program}");
    let broker = rig.vhost.amqp_url();
    let variables = [("PYTHONPATH", DIRECTORY), ("BROKER", &broker), ("QUORUM", kind)];
    python::python(&program, &variables).await
}

/// Celery's producer and the Rust worker agree on native delayed delivery, and the worker's retries use it, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_holds_delayed_tasks() {
    let mut rig = Rig::start(vhost("quorum").await, |config| {
        let queue = Queue::named("celery").on_exchange("celery", ExchangeType::Topic, "celery");
        config.known_queues = vec![queue.quorum()];
    })
    .await;
    assert!(!log::lines("Global QoS is disabled. Prefetch count is now static.").is_empty());
    let before = jiff::Timestamp::now();
    later(&rig, "topic", "echo('later').apply_async(countdown=3)").await;
    let run = rig.run().await;
    assert!(run.at.duration_since(before) >= SignedDuration::from_secs(3));
    assert_eq!(run.delivery.exchange, "celery_delayed_delivery");
    assert!(
        run.delivery.routing_key.ends_with(".1.1.celery"),
        "{:?}",
        run.delivery
    );

    later(&rig, "topic", "retry(1).delay()").await;
    let first = rig.run_of("demo.retry").await;
    assert_eq!(first.delivery.exchange, "celery");
    for retries in 1..=2 {
        let run = rig.run_of("demo.retry").await;
        assert_eq!(run.message.retries, retries);
        assert_eq!(run.delivery.exchange, "celery_delayed_delivery");
        let key = "0.".repeat(27) + "1.celery";
        assert_eq!(run.delivery.routing_key, key, "one delay, however often");
    }
    assert!(rig.stopped().await.get("celery", 1).await.is_empty());
}

/// A direct exchange cannot take part: the worker warns and holds the task itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_with_a_direct_exchange_leaves_delays_to_the_worker() {
    let mut rig = Rig::start(vhost("direct").await, |config| {
        config.known_queues = vec![Queue::named("celery").quorum()];
    })
    .await;
    assert!(
        !log::lines("Exchange celery is a direct exchange and native delayed delivery do not support")
            .is_empty()
    );
    let before = jiff::Timestamp::now();
    later(&rig, "direct", "echo('later').apply_async(countdown=2)").await;
    let run = rig.run().await;
    assert!(run.at.duration_since(before) >= SignedDuration::from_secs(2));
    assert_eq!(
        (run.delivery.exchange.as_str(), run.delivery.routing_key.as_str()),
        ("", "celery")
    );
    assert!(rig.stopped().await.get("celery", 1).await.is_empty());
}

/// A queue that others have declared is used as it is, whatever is configured here.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_declared_differently_is_used_as_it_is() {
    let vhost = vhost("otherwise").await;
    vhost.declare_queue("celery", &json!({"x-max-priority": 3})).await;
    let mut rig = Rig::start(vhost, |config| {
        config.known_queues = vec![Queue::named("celery").with_max_priority(9)];
    })
    .await;
    let mut call = Rig::call("demo.add", vec![Value::from(1), Value::from(2)]);
    let echo = Signature::new("demo.echo", vec![Value::from("x")], Dict::new());
    call.embed.callbacks = Some(vec![echo]);
    rig.send(&call).await;
    assert_eq!(
        rig.run_of("demo.echo").await.args(),
        [Value::from(3), Value::from("x")]
    );
    rig.stopped().await;
}
