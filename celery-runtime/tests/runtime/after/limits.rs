//! Rate limits, time limits and expected failures.

use std::time::Duration;

use celery_protocol::Value;
use harness::eventually;
use jiff::{SignedDuration, Timestamp};

use super::log;
use super::rig::{Rig, WAIT, vhost};

/// Allows 2/s: one run at once, then one every half second. A busy machine may start one late and the next soon
/// after it, but none before its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_spaces_runs_out() {
    let mut rig = Rig::start(vhost("rate").await, |config| config.concurrency = 1).await;
    let before = Timestamp::now();
    for n in 0..4 {
        rig.send(&Rig::call("demo.limited", vec![Value::from(n)])).await;
    }
    for n in 0..4 {
        let run = rig.run().await;
        assert_eq!(run.args(), [Value::from(n)], "in the order of arrival");
        let since = run.at.duration_since(before);
        // Timers may be off by twenty milliseconds through rounding.
        assert!(
            since >= SignedDuration::from_millis(500 * n - 20),
            "run {n} started after {since}"
        );
    }
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

/// Rate-limited messages stay unacked while they wait, and do not block others.
#[tokio::test(flavor = "multi_thread")]
async fn unlimited_tasks_overtake_limited_ones() {
    let mut rig = Rig::start(vhost("rate-past").await, |config| config.concurrency = 1).await;
    rig.python("for n in range(4): hourly(n).delay()\necho('others').delay()")
        .await;
    let first = rig.run().await;
    assert_eq!(
        (first.message.task.as_str(), first.args()),
        ("demo.hourly", &[Value::from(0)][..])
    );
    assert_eq!(rig.run().await.message.task, "demo.echo");
    rig.queue_is("celery", 0, 3).await;
    rig.stopped().await;
}

/// Rate-limited messages return to the queue when the worker stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_limited_message_returns_at_a_shutdown() {
    let mut rig = Rig::start(vhost("rate-stop").await, |_| {}).await;
    rig.python("for n in range(8): hourly(n).delay()").await;
    rig.run().await;
    rig.queue_is("celery", 0, 7).await;
    let vhost = rig.stopped().await;
    eventually("all waiting messages to be back", WAIT, || async {
        let depth = vhost.queue("celery").await;
        if (depth.ready, depth.unacked) == (7, 0) {
            Ok(())
        } else {
            Err(format!("{depth:?}"))
        }
    })
    .await;
}

/// The message's limits, set by the caller, take precedence over the task's. The task itself must observe the soft
/// one.
#[tokio::test(flavor = "multi_thread")]
async fn a_soft_limit_notifies_the_task() {
    let mut rig = Rig::start(vhost("soft").await, |_| {}).await;
    let id = rig
        .python("print(sleep().apply_async(soft_time_limit=1, time_limit=50).id)")
        .await;
    let id = id.trim();
    rig.run_of("demo.sleep").await;
    rig.logged("raised unexpected: SoftTimeLimitExceeded()", id).await;
    let lines = log::lines("Soft time limit");
    let expected = format!("WARNING/MainProcess] Soft time limit (1s) exceeded for demo.sleep[{id}]");
    assert!(lines.contains(&expected), "{lines:?}");
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

/// A task that ignores the soft limit is dropped: it fails, its errbacks are called and its message is acked.
#[tokio::test(flavor = "multi_thread")]
async fn a_hard_limit_ends_the_task() {
    let mut rig = Rig::start(vhost("hard").await, |config| config.concurrency = 1).await;
    let id = rig
        .python(
            "print(app.signature('demo.deaf').apply_async(\
             soft_time_limit=0.5, time_limit=1.5, link=echo('never'), link_error=echo('timed out')).id)",
        )
        .await;
    let id = id.trim();
    let started = rig.run_of("demo.deaf").await;
    let received = rig.run_of("demo.echo").await;
    assert_eq!(received.args(), [Value::from(id), Value::from("timed out")]);
    // The task cannot end otherwise. The limit counts from its start by the worker, only just before the task reads
    // the clock.
    let took = received.at.duration_since(started.at);
    assert!(took >= SignedDuration::from_millis(750), "{took}");
    let lines = log::lines(&format!("demo.deaf[{id}]"));
    for expected in [
        format!("WARNING/MainProcess] Soft time limit (0.5s) exceeded for demo.deaf[{id}]"),
        format!("ERROR/MainProcess] Hard time limit (1.5s) exceeded for demo.deaf[{id}]"),
    ] {
        assert!(lines.contains(&expected), "{expected}: {lines:?}");
    }
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_failure_is_not_an_error() {
    let mut rig = Rig::start(vhost("throws").await, |_| {}).await;
    let id = rig.python("print(known().delay().id)").await;
    rig.run_of("demo.known").await;
    let line = rig.logged("raised expected", id.trim()).await;
    let expected = format!(
        "INFO/MainProcess] Task demo.known[{}] raised expected: Exp('known')",
        id.trim()
    );
    assert_eq!(line, expected);
    rig.nothing_runs_for(Duration::from_millis(100)).await;
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}
