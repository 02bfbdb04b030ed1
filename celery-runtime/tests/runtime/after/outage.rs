//! The broker holds the messages that follow a task before the task's own message is acked, whatever happens in
//! between.

use std::time::Duration;

use celery_protocol::Value;
use harness::{Broker, Proxy, eventually};
use serde_json::json;

use super::rig::{Rig, WAIT, vhost};

/// The broker is down when the task ends. The run stays open until the callback is confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_stays_open_while_the_broker_is_away() {
    let mut broker = Broker::start().await;
    let mut rig = Rig::start(broker.vhost("away").await, |_| {}).await;
    let id = rig
        .python("print(gate().apply_async(link=echo('after')).id)")
        .await;
    assert_eq!(rig.run_of("demo.gate").await.message.id, id.trim());
    broker.stop().await;
    rig.gate.add_permits(1);
    rig.logged("messages that follow tasks cannot be sent", "").await;
    broker.start_again().await;
    let after = rig.run().await;
    assert_eq!(after.args(), [Value::None, Value::from("after")]);
    assert_eq!(after.message.parent_id.as_deref(), Some(id.trim()));
    rig.logged(" succeeded in ", id.trim()).await;
    rig.queue_is("celery", 0, 0).await;
    // Neither the task nor its callback runs twice: no message that was sent remained unconfirmed.
    rig.nothing_runs_for(Duration::from_millis(500)).await;
    rig.stopped().await;
}

/// The connection is cut between the end of the task and the confirmation, ten times.
#[tokio::test(flavor = "multi_thread")]
async fn no_callback_is_lost_on_a_bad_connection() {
    let vhost = vhost("line").await;
    let proxy = Proxy::start(vhost.address()).await;
    let url = vhost.amqp_url_at(proxy.port());
    let mut rig = Rig::start_at(vhost, url, |_| {}).await;
    rig.python("for n in range(200): add(n, 0).apply_async(link=echo('from', n))")
        .await;
    let mut echoed = vec![0; 200];
    let mut runs = 0;
    while echoed.contains(&0) {
        let run = rig.run().await;
        if run.message.task == "demo.echo" {
            let [Value::Int(result), _, Value::Int(number)] = run.args() else {
                panic!("{run:?}")
            };
            assert_eq!(result, number);
            echoed[usize::try_from(*number).expect("a small number")] += 1;
        }
        runs += 1;
        if runs % 20 == 0 && runs <= 200 {
            proxy.cut();
            proxy.restore();
        }
    }
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

/// A queue that accepts nothing keeps the run open; when it accepts messages again, everything continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_keeps_the_run_open() {
    let vhost = vhost("full").await;
    vhost.declare_queue("full", &json!({})).await;
    let limit = |most: u32| json!({"max-length": most, "overflow": "reject-publish"});
    vhost.set_policy("limit", "^full$", &limit(0)).await;
    let mut rig = Rig::start(vhost, |_| {}).await;
    let id = rig
        .python("print(add(1, 2).apply_async(link=echo('x').set(queue='full')).id)")
        .await;
    rig.run_of("demo.add").await;
    rig.logged(
        "messages that follow tasks cannot be sent: the broker refused the message",
        "",
    )
    .await;
    rig.queue_is("celery", 0, 1).await;
    rig.vhost.set_policy("limit", "^full$", &limit(10)).await;
    rig.queue_is("full", 1, 0).await;
    rig.queue_is("celery", 0, 0).await;
    rig.logged(" succeeded in ", id.trim()).await;
    rig.stopped().await;
}

/// A queue that a callback went to before is deleted. The next callback declares it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_of_callbacks_is_declared_again() {
    let mut rig = Rig::start(vhost("gone").await, |_| {}).await;
    for _ in 0..2 {
        rig.python("add(1, 2).apply_async(link=echo('x').set(queue='other'))")
            .await;
        rig.run_of("demo.add").await;
        rig.queue_is("other", 1, 0).await;
        rig.vhost.delete_queue("other").await;
    }
    rig.stopped().await;
}

/// A shutdown does not wait forever: if a message could not be sent, the task's own message is not acked, and the
/// task is redelivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_send_is_not_acked_at_a_shutdown() {
    let vhost = vhost("unsent").await;
    let full = json!({"x-max-length": 0, "x-overflow": "reject-publish"});
    vhost.declare_queue("full", &full).await;
    let mut rig = Rig::start(vhost, |config| config.drain_timeout = Duration::from_secs(1)).await;
    rig.python("add(1, 2).apply_async(link=echo('x').set(queue='full'))")
        .await;
    rig.run_of("demo.add").await;
    rig.queue_is("celery", 0, 1).await;
    let vhost = rig.stopped().await;
    eventually("the message to be back", WAIT, || async {
        let depth = vhost.queue("celery").await;
        if (depth.ready, depth.unacked) == (1, 0) {
            Ok(())
        } else {
            Err(format!("{depth:?}"))
        }
    })
    .await;
    assert!(vhost.get("celery", 1).await[0].redelivered);
}
