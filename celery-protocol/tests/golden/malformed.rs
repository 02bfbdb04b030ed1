//! The raw messages of `behaviour-malformed-messages`: the broker action and the first log line of a Celery 5.7 worker.
//!
//! A message that ended the Python worker must be refused as poison. A message whose task Celery runs must decode, with
//! the arguments that the task echoed.

use celery_protocol::saferepr::saferepr;
use celery_protocol::{DecodeError, Incoming, Level, Message, Refusal, TaskMessage, Text, Value, iso8601};

use crate::capture::{captured_message, cases, text};

/// The outcome for a message before a task is called.
enum Verdict {
    Refused(DecodeError),
    Unregistered(String),
    Runs(Box<TaskMessage>),
}

/// Receives a message like the worker of `behaviour-malformed-messages`, which had two tasks.
fn receive(message: Message) -> Verdict {
    let incoming = match Incoming::identify(message) {
        Ok(incoming) => incoming,
        Err(error) => return Verdict::Refused(error),
    };
    if !["demo.echo", "demo.add"].contains(&incoming.task()) {
        return Verdict::Unregistered(format!(
            "Received unregistered task of type {}.",
            incoming.task_repr()
        ));
    }
    match incoming.decode() {
        Ok(task) => Verdict::Runs(Box::new(task)),
        Err(error) => Verdict::Refused(error),
    }
}

#[test]
fn bad_messages_end_as_in_python() {
    let cases = cases("behaviour-malformed-messages");
    let (mut poison, mut refused, mut unregistered, mut run) = (0, 0, 0, 0);
    for case in &cases {
        let case = case.as_dict().expect("an object");
        let name = text(case, "case").expect("a name");
        let message = captured_message(case.get("message").and_then(Value::as_dict).expect("a message"));
        let actions: Vec<&str> = list(case.get("broker_action"));
        let lines: Vec<&str> = list(case.get("log_first_lines"));
        // Lines on the sync with a neighbour are not about the message.
        let lines: Vec<&str> = lines
            .into_iter()
            .filter(|line| !line.contains(": sync with "))
            .collect();
        let died = case.get("worker_died") == Some(&Value::Bool(true));
        match receive(message) {
            Verdict::Refused(error @ DecodeError::Poison { .. }) => {
                assert!(died, "{name}: {error}");
                assert_eq!(
                    (error.settlement(), error.level()),
                    (Refusal::Reject, Level::Error),
                    "{name}"
                );
                println!("{name}: {error}");
                poison += 1;
            }
            Verdict::Refused(error) => {
                let action = match error.settlement() {
                    Refusal::Ack => "basic.ack",
                    Refusal::Reject => "basic.reject(requeue=false)",
                };
                let level = match error.level() {
                    Level::Critical => "CRITICAL",
                    Level::Error => "ERROR",
                    Level::Warning => "WARNING",
                };
                assert_eq!((died, &actions[..]), (false, &[action][..]), "{name}: {error}");
                assert_eq!(
                    format!("{level}/MainProcess: {error}"),
                    without_secrets(lines[0]),
                    "{name}"
                );
                refused += 1;
            }
            Verdict::Unregistered(line) => {
                assert_eq!(
                    (died, &actions[..]),
                    (false, &["basic.reject(requeue=false)"][..]),
                    "{name}"
                );
                assert_eq!(format!("ERROR/MainProcess: {line}"), lines[0], "{name}");
                unregistered += 1;
            }
            Verdict::Runs(task) => {
                assert_eq!((died, &actions[..]), (false, &["basic.ack"][..]), "{name}");
                check_run(&name, &task, &lines);
                run += 1;
            }
        }
    }
    println!(
        "{} messages: {poison} poison, {refused} refused, {unregistered} unregistered, {run} run",
        cases.len()
    );
    assert_eq!(cases.len(), 70);
    assert_eq!(poison + refused + unregistered + run, 70);
}

fn list(value: Option<&Value>) -> Vec<&str> {
    value
        .and_then(Value::as_list)
        .expect("a list")
        .iter()
        .map(|item| item.as_str().expect("text"))
        .collect()
}

fn check_run(name: &str, task: &TaskMessage, lines: &[&str]) {
    assert_eq!(
        lines[0],
        format!("INFO/MainProcess: Task {}[{}] received", task.name(), task.id),
        "{name}"
    );
    let Some(next) = lines.get(1) else {
        panic!("{name}: no second line")
    };
    if let Some((_, result)) = next
        .split_once("s: [")
        .filter(|_| next.contains(" succeeded in "))
    {
        let echoed = Value::List(vec![called_with(&task.args), task.kwargs.clone()]);
        assert_eq!(
            format!("[{result}"),
            logged(&saferepr(&echoed, Some(1024), 3)),
            "{name}"
        );
    } else if next.contains("Discarding revoked task") {
        let now = iso8601::parse("2026-11-22T10:00:00Z")
            .expect("a time")
            .timestamp();
        assert!(task.expires.expect("an expiry").timestamp() < now, "{name}");
    } else if next.contains("argument after * must be an iterable") {
        assert!(
            task.positional().is_none() && next.contains(&format!("not {}", task.args.type_name())),
            "{name}"
        );
    } else if next.contains("Task keyword arguments is not a mapping") {
        assert!(task.keywords().is_none(), "{name}");
    } else {
        assert!(
            next.contains("raised unexpected: TypeError") && task.task == "demo.add",
            "{name}: {next}"
        );
    }
}

/// Returns a text as Python's log shows it: a surrogate is escaped, and so is the backslash of that escape.
fn logged(text: &Text) -> String {
    let shown =
        |code_point| char::from_u32(code_point).map_or(format!("\\\\u{code_point:04x}"), String::from);
    text.code_points().map(shown).collect()
}

/// Returns the tuple that Python makes of the arguments for the call.
fn called_with(args: &Value) -> Value {
    match args {
        Value::List(items) | Value::Tuple(items) => Value::Tuple(items.clone()),
        Value::Text(text) => Value::Tuple(
            text.to_string_lossy()
                .chars()
                .map(|c| Value::from(c.to_string()))
                .collect(),
        ),
        other => panic!("{other:?}"),
    }
}

/// Returns Python's line with `...` for the parts that we keep out of the log: the arguments' representations and parts
/// of the body.
fn without_secrets(line: &str) -> String {
    let mut line = line
        .replace("'argsrepr': '()'", "'argsrepr': '...'")
        .replace("'kwargsrepr': '{}'", "'kwargsrepr': '...'");
    for (before, after) in [
        ("UnicodeDecodeError('utf-8', b'", "', 3, 4"),
        ("'__value__': ", "})) ["),
    ] {
        if let Some(start) = line.find(before).map(|start| start + before.len()) {
            let end = start + line[start..].find(after).expect("the end of it");
            line.replace_range(start..end, "...");
        }
    }
    line
}
