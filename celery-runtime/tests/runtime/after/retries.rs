//! Retries: the same id, an incremented `retries`, at the requested time.

use celery_protocol::Value;
use jiff::SignedDuration;

use super::rig::{Rig, vhost};

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_keeps_the_id_and_runs_at_its_time() {
    let mut rig = Rig::start(vhost("retry").await, |_| {}).await;
    let id = rig
        .python("print(retry(1, k=2).apply_async(link=echo('done'), headers={'x': 'y'}, priority=3).id)")
        .await;
    let mut before = None;
    for retries in 0..=2 {
        let run = rig.run_of("demo.retry").await;
        assert_eq!(
            (run.message.id.as_str(), run.message.retries),
            (id.trim(), retries)
        );
        assert_eq!(run.message.priority, Some(3));
        assert_eq!(run.message.headers.get("x").and_then(|x| x.as_str()), Some("y"));
        assert_eq!(run.args(), [Value::from(1)]);
        if let Some(before) = before {
            assert!(
                run.at.duration_since(before) >= SignedDuration::from_secs(1),
                "run {retries} started too early"
            );
        }
        before = Some(run.at);
    }
    let done = rig.run_of("demo.echo").await;
    assert_eq!(
        done.args(),
        [Value::None, Value::from("done")],
        "the callbacks are kept"
    );
    let lines = super::log::lines(&format!("demo.retry[{}] retry", id.trim()));
    let expected = format!(
        "INFO/MainProcess] Task demo.retry[{}] retry: Retry in 1s: KeyError('again')",
        id.trim()
    );
    assert_eq!(lines, [expected.clone(), expected]);
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}

/// A Python worker of the same queue runs the retry that the Rust worker sent. The message behind the first run
/// keeps the Rust worker busy, so that it cannot use up all retries itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_can_continue_in_python() {
    let mut rig = Rig::start(vhost("handover").await, |config| {
        config.queues = vec!["shared".to_owned(), "other".to_owned()];
        config.concurrency = 1;
        config.prefetch_multiplier = 1;
    })
    .await;
    let id = rig
        .python(
            "print(app.signature('shared.flaky').apply_async(queue='shared').id)\n\
             gate().apply_async(queue='shared')",
        )
        .await;
    let run = rig.run_of("shared.flaky").await;
    assert_eq!((run.message.id.as_str(), run.message.retries), (id.trim(), 0));
    rig.run_of("demo.gate").await;
    rig.stop.warm();
    rig.gate.add_permits(1);
    let vhost = rig.stopped().await;

    let mut rig = Rig::start(vhost, |config| config.queues = vec!["other".to_owned()]).await;
    let _python = rig.python_worker("shared").await;
    let received = rig.run_of("demo.echo").await;
    let [what, received_id, retries] = received.args() else {
        panic!("{received:?}")
    };
    assert_eq!(
        (what.as_str(), received_id.as_str()),
        (Some("flaky"), Some(id.trim()))
    );
    assert!(
        retries.as_i64().is_some_and(|retries| (1..=3).contains(&retries)),
        "{retries:?}"
    );
    rig.queue_is("shared", 0, 0).await;
    rig.stopped().await;
}

/// After `max_retries` the task fails with the exception of its retries.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_retried_too_often_fails() {
    let mut rig = Rig::start(vhost("too-often").await, |_| {}).await;
    let id = rig
        .python("print(app.signature('shared.flaky').apply_async(link_error=echo('gave up')).id)")
        .await;
    for retries in 0..=3 {
        let run = rig.run_of("shared.flaky").await;
        assert_eq!(
            (run.message.id.as_str(), run.message.retries),
            (id.trim(), retries)
        );
    }
    let received = rig.run_of("demo.echo").await;
    assert_eq!(received.args(), [Value::from(id.trim()), Value::from("gave up")]);
    rig.logged("raised unexpected: KeyError('elsewhere')", id.trim())
        .await;
    rig.queue_is("celery", 0, 0).await;
    rig.stopped().await;
}
