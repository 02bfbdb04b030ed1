//! The worker stops as Celery's does. Signals, printed lines, exit codes and the messages returned to the
//! queue are compared with golden/behaviour-shutdown.json (contract E.7).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use harness::{Broker, Gate, Process, Receiver, Redis, Reply, Signal, Vhost, eventually};
use serde_json::Value;
use uuid::Uuid;

use crate::services::{Acl, Api, By, START, rust, rust_worker};

const WAIT: Duration = Duration::from_mins(1);
const TOKEN: &str = "validDriverToken-0001";

/// The recorded cases that are played: the signals, and whether an authorization is running. Our default is
/// late acks, so the busy cases are those with late acks and those whose tasks end by themselves.
const PLAYED: [(&str, &[Signal], bool); 8] = [
    ("term-idle", &[Signal::TERM], false),
    ("term-term", &[Signal::TERM, Signal::TERM], true),
    ("int-idle", &[Signal::INT], false),
    ("int-busy", &[Signal::INT], true),
    ("int-int", &[Signal::INT, Signal::INT], true),
    ("quit-idle", &[Signal::QUIT], false),
    ("quit-busy-late", &[Signal::QUIT], true),
    ("term-quit", &[Signal::TERM, Signal::QUIT], true),
];

#[tokio::test(flavor = "multi_thread")]
async fn signals_do_what_they_do_to_celery() {
    let recorded = recorded();
    join_all(PLAYED.map(|(name, signals, busy)| play(name, signals, busy, &recorded[name]))).await;
}

async fn play(name: &str, signals: &[Signal], busy: bool, case: &Value) {
    let vhost = Broker::shared().await.vhost("signals").await;
    let redis = Redis::start().await;
    let acl = Acl::start(By::Rust, &redis).await;
    let api = Api::start(By::Rust, &vhost.amqp_url(), 60).await;
    // The task runs until all signals have been answered, however long that takes.
    let gate = Gate::closed();
    let behind = gate.clone();
    let rule = move |_: &_| Reply::Behind(behind.clone(), Box::new(Reply::status(200)));
    let receiver = Receiver::start_with(rule).await;
    let worker = quiet_worker(&vhost, &acl, &redis).await;
    if busy {
        let station = Uuid::new_v4().to_string();
        let answer = api.authorize(&station, TOKEN, &receiver.url("/")).await;
        assert_eq!(answer.expect("an answer").status, 200);
        receiver.wait_for(1, WAIT).await;
    }
    for (sent, signal) in signals.iter().enumerate() {
        worker.signal(*signal);
        // Each signal is answered by a line before the next one is sent.
        eventually(
            format!("{name}: a line for signal {}", sent + 1),
            WAIT,
            || async {
                let lines = printed(&worker.stdout());
                if lines.len() > sent {
                    Ok(())
                } else {
                    Err(format!("{lines:?}"))
                }
            },
        )
        .await;
    }
    // A cold shutdown leaves the running message to others; a warm one finishes its task.
    let cold = signals.len() > 1 && signals[1] != Signal::TERM || signals[0] == Signal::QUIT;
    if !cold {
        gate.open();
    }
    let status = worker.wait_exit(WAIT).await;
    assert_eq!(
        status.code().map(i64::from),
        case["exit_code"].as_i64(),
        "{name}: {}",
        worker.tail()
    );
    let lines = printed(&worker.stdout());
    let expected: Vec<String> = serde_json::from_value(case["stdout"].clone()).expect("lines");
    assert_eq!(lines, expected, "{name}");

    let left = u64::from(busy && cold);
    eventually(format!("{name}: {left} messages in the queue"), WAIT, || async {
        let depth = vhost.queue("celery").await;
        if (depth.ready, depth.unacked) == (left, 0) {
            Ok(())
        } else {
            Err(format!("{depth:?}"))
        }
    })
    .await;
    assert_eq!(
        redis.audit_records().await.len(),
        usize::from(busy && !cold),
        "{name}"
    );
}

/// `REMAP_SIGTERM=SIGQUIT` makes SIGTERM cold. It is not one of the services' variables, so it is tested
/// separately.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_can_be_remapped() {
    let vhost = Broker::shared().await.vhost("signals").await;
    let url = vhost.amqp_url();
    let variables = [("BROKER_URL", url.as_str()), ("REMAP_SIGTERM", "SIGQUIT")];
    let worker = rust(
        env!("CARGO_BIN_EXE_test-worker"),
        &["--quiet", "worker", "--loglevel=INFO"],
        &variables,
    );
    worker.wait_for_line(" ready.", START).await;
    worker.signal(Signal::TERM);
    let case = &recorded()["remap-term"];
    let status = worker.wait_exit(WAIT).await;
    assert_eq!(status.code().map(i64::from), case["exit_code"].as_i64());
    let expected: Vec<String> = serde_json::from_value(case["stdout"].clone()).expect("lines");
    assert_eq!(printed(&worker.stdout()), expected);
}

/// Starts a worker without a banner, so that its standard output contains only the answers to signals.
async fn quiet_worker(vhost: &Vhost, acl: &Acl, redis: &Redis) -> Process {
    let arguments = ["--quiet", "worker", "--loglevel=INFO", "--concurrency=1"];
    rust_worker(&vhost.amqp_url(), acl, redis, &arguments).await
}

fn recorded() -> BTreeMap<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/celery/behaviour-shutdown.json");
    let text = std::fs::read_to_string(path).expect("the captured shutdowns");
    let captures: Value = serde_json::from_str(&text).expect("JSON");
    let cases = captures["cases"].as_array().expect("cases").clone();
    cases
        .into_iter()
        .map(|case| (case["case"].as_str().expect("a name").to_owned(), case))
        .collect()
}

/// Drops the empty lines with which Celery frames its output.
fn printed(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| !line.is_empty()).cloned().collect()
}
