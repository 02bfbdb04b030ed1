//! Sends the recorded bad messages to the Rust worker, and to Python's to check that the recording is correct.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::{Broker, Process, Vhost, eventually};
use serde_json::json;

use crate::demo;
use crate::log_line::LogLine;
use crate::recording::{self, Action, Case};
use crate::venv;

/// How long one message may take on a busy machine.
const WAIT: Duration = Duration::from_mins(1);

/// Cases in which the log of the Rust worker differs by decision, besides the messages that kill a Python worker (ADR 7):
/// it does not run a task whose keyword arguments are not a mapping, and logs that the task failed (ADR 18). Python logs
/// that it succeeded.
const OWN_LOG: [(&str, &str); 2] = [("v2-kwargs-list", "list"), ("v2-kwargs-null", "NoneType")];

/// Creates a queue `celery` whose rejected messages go to the queue `dead`.
async fn vhost(name: &str) -> Vhost {
    let vhost = Broker::shared().await.vhost(name).await;
    vhost.declare_queue("celery", &json!({})).await;
    vhost.declare_queue("dead", &json!({})).await;
    let dead = json!({ "dead-letter-exchange": "", "dead-letter-routing-key": "dead" });
    vhost.set_policy("dead", "^celery$", &dead).await;
    vhost
}

/// The cases that were rejected.
async fn rejected(vhost: &Vhost, expected: usize) -> BTreeSet<String> {
    eventually(format!("{expected} rejected messages"), WAIT, || async {
        let ready = vhost.queue("dead").await.ready;
        if ready >= expected as u64 {
            Ok(())
        } else {
            Err(ready.to_string())
        }
    })
    .await;
    let messages = vhost.get("dead", expected + 1).await;
    let names = messages.iter().map(|message| {
        let death = &message.properties["headers"]["x-death"][0];
        assert_eq!(death["reason"], "rejected", "{message:?}");
        message.properties["message_id"]
            .as_str()
            .expect("a message id")
            .to_owned()
    });
    names.collect()
}

fn named(cases: &[Case], action: impl Fn(&Case) -> Action, wanted: Action) -> BTreeSet<String> {
    let cases = cases.iter().filter(|case| action(case) == wanted);
    cases.map(|case| case.name.clone()).collect()
}

/// The lines that a worker has logged about messages after its first `known` lines.
fn logged(worker: &Process, known: usize) -> Vec<LogLine> {
    let lines = worker.stderr();
    let lines = lines[known..].iter().filter_map(|line| LogLine::parse(line));
    lines.filter(|line| !line.is_gossip()).collect()
}

/// Publishes a message, waits until the queue is empty and `expected` lines are logged, and returns the lines logged
/// since.
async fn handled(case: &Case, worker: &Process, vhost: &Vhost, expected: usize) -> Vec<LogLine> {
    let known = worker.stderr().len();
    case.publish(vhost).await;
    eventually(format!("the end of {}", case.name), WAIT, || async {
        let depth = vhost.queue("celery").await;
        let log = logged(worker, known);
        if let Some(status) = worker.try_exit() {
            panic!(
                "{}: the worker has ended ({status}):\n{}",
                case.name,
                worker.tail()
            );
        }
        if depth.ready == 0 && depth.unacked == 0 && log.len() >= expected {
            Ok(log)
        } else {
            Err(format!("{depth:?} {log:?}"))
        }
    })
    .await
}

fn differences(case: &Case, expected: &[LogLine], seen: &[LogLine]) -> Option<String> {
    let shown = |lines: &[LogLine]| {
        lines
            .iter()
            .fold(String::new(), |text, line| text + &format!("\n    {line}"))
    };
    (expected != seen).then(|| {
        format!(
            "{}\n  expected:{}\n  seen:{}",
            case.name,
            shown(expected),
            shown(seen)
        )
    })
}

/// The lines that the Rust worker should log.
fn log_of_rust(case: &Case, seen: &[LogLine]) -> Vec<LogLine> {
    let mut log: Vec<LogLine> = case.log().iter().map(LogLine::without_arguments).collect();
    if let Some((_, kind)) = OWN_LOG.iter().find(|(name, _)| *name == case.name) {
        let Some(LogLine { text, .. }) = log.first() else {
            panic!("{}: nothing was recorded", case.name)
        };
        let task = text.trim_end_matches(" received");
        let why = format!("opsapp.echo() argument after ** must be a mapping, not {kind}");
        let failure = format!("{task} raised unexpected: TypeError('{why}')");
        log = vec![LogLine::new("INFO", text), LogLine::new("ERROR", &failure)];
    }
    if case.action() == Action::Death {
        // The wording is our own, but it is one line of this kind.
        let invalid = "Received invalid task message: ";
        let line = seen.first().filter(|line| line.text.starts_with(invalid));
        let text = line.map_or(invalid, |line| &line.text);
        log = vec![LogLine::new("ERROR", text)];
    }
    log
}

fn action_of_rust(case: &Case) -> Action {
    match case.action() {
        Action::Death => Action::Reject,
        action => action,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_worker_treats_bad_messages_as_python_does() {
    let cases = recording::cases();
    let vhost = vhost("bad-messages-rust").await;
    let worker = demo::rust_worker(&vhost).await;
    let mut different = Vec::new();
    for case in &cases {
        let count = if case.action() == Action::Death {
            1
        } else {
            case.log().len()
        };
        let seen = handled(case, &worker, &vhost, count).await;
        different.extend(differences(case, &log_of_rust(case, &seen), &seen));
    }
    println!("{} bad messages against the Rust worker", cases.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(cases.len(), 70);

    let expected = named(&cases, action_of_rust, Action::Reject);
    assert_eq!(rejected(&vhost, expected.len()).await, expected);
    let control = &cases[0];
    assert_eq!(handled(control, &worker, &vhost, 2).await, control.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_of_python_is_so() {
    let cases = recording::cases();
    let control = &cases[0];
    let vhost = vhost("bad-messages-python").await;
    let mut worker = demo::python_worker(venv::NEWEST, &vhost).await;
    let mut different = Vec::new();
    let mut deaths = 0;
    for case in &cases {
        let log = case.log();
        let seen = if case.action() == Action::Death {
            let seen = killed(case, &worker, &vhost).await;
            deaths += 1;
            worker = demo::python_worker(venv::NEWEST, &vhost).await;
            // The first message after a start might be held instead of killing the worker.
            assert_eq!(handled(control, &worker, &vhost, 2).await, control.log());
            seen
        } else {
            handled(case, &worker, &vhost, log.len()).await
        };
        different.extend(differences(case, &log, &seen));
    }
    println!(
        "{} bad messages against Python, {deaths} of which killed it",
        cases.len()
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
    let expected = named(&cases, Case::action, Action::Reject);
    assert_eq!(rejected(&vhost, expected.len()).await, expected);
}

/// Publishes a message that kills the worker, waits until the worker has ended, and takes the message from the queue, to
/// which it has returned.
async fn killed(case: &Case, worker: &Process, vhost: &Vhost) -> Vec<LogLine> {
    let known = worker.stderr().len();
    case.publish(vhost).await;
    let status = worker.wait_exit(WAIT).await;
    assert_eq!(status.code(), Some(1), "{}", case.name);
    let returned = eventually(format!("the return of {}", case.name), WAIT, || async {
        let messages = vhost.get("celery", 2).await;
        if messages.is_empty() {
            Err("an empty queue".to_owned())
        } else {
            Ok(messages)
        }
    })
    .await;
    let names: Vec<_> = returned
        .iter()
        .map(|message| &message.properties["message_id"])
        .collect();
    assert_eq!(names, [case.name.as_str()]);
    let log = logged(worker, known);
    // Celery also logs a line without text when it shuts down its pool.
    log.into_iter().filter(|line| !line.text.is_empty()).collect()
}
