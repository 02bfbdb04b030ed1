//! Compares the plans with what Celery's worker sent: the captures `canvas-*.json` and the observations
//! `worker-canvas.json`.

mod bounds;
mod compare;
mod observed;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use celery_protocol::{Incoming, Message, Properties, Sender, Signature, TaskMessage, Value, json};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::*;
use crate::amqp::destination::Routes;
use crate::amqp::queue::{ExchangeType, Queue};
use crate::result_backend::Child;
use crate::task::options::TaskOptions;
use crate::task::outcome::When;
use crate::task::registry::Registry;
use crate::task::request::DeliveryInfo;

fn golden(file: &str) -> Json {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/celery");
    let text = std::fs::read_to_string(PathBuf::from(directory).join(file)).expect("the file exists");
    serde_json::from_str(&text).expect("JSON")
}

fn sender() -> Sender {
    Sender {
        origin: "gen7@rust".to_owned(),
        reply_to: "7bb9a2d2-5b0c-3b2f-9c35-3f1d4e3c3c11".to_owned(),
    }
}

/// The tasks of the captured and observed workers.
fn tasks() -> Registry {
    let mut tasks = Registry::new();
    for name in [
        "demo.add",
        "demo.value",
        "demo.fail",
        "demo.ignore",
        "demo.retry",
        "demo.errback",
        "demo.errback_old",
        "demo.echo",
        "demo.uuid_echo",
    ] {
        tasks.register(TaskOptions::named(name), |_| async { Ok(Value::None) });
    }
    let ignored = TaskOptions {
        ignore_result: true,
        time_limit: Some(Duration::from_secs(30)),
        soft_time_limit: Some(Duration::from_millis(20_500)),
        ..TaskOptions::named("demo.ignored")
    };
    tasks.register(ignored, |_| async { Ok(Value::None) });
    tasks
}

fn routes() -> Routes {
    let topic = Queue::named("qt").on_exchange("events", ExchangeType::Topic, "task.default");
    Routes::new("celery", &[Queue::named("celery"), topic])
}

/// Decodes a message of a golden file.
fn task_message(message: &Json) -> TaskMessage {
    let field = |name: &str| message["properties"][name].as_str().map(str::to_owned);
    let properties = Properties {
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("utf-8".to_owned()),
        headers: compare::table(&message["headers"]),
        correlation_id: field("correlation_id"),
        reply_to: field("reply_to"),
        priority: message["properties"]["priority"]
            .as_u64()
            .and_then(|priority| u8::try_from(priority).ok()),
        ..Properties::default()
    };
    let body = message["body"].to_string().into_bytes();
    let incoming = Incoming::identify(Message { properties, body }).expect("a task message");
    incoming.decode().expect("a task message")
}

/// Compares every worker message of every capture, field by field: ids, times and origin are checked, then masked.
#[test]
fn plans_equal_the_worker_messages_of_every_capture() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/celery");
    let mut files: Vec<String> = std::fs::read_dir(directory)
        .expect("the golden files exist")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("ASCII"))
        .filter(|name| name.starts_with("canvas-"))
        .collect();
    files.sort();
    let mut sent = BTreeMap::new();
    for file in &files {
        let capture = golden(file);
        let mut messages: VecDeque<Json> = capture["messages"].as_array().expect("messages").clone().into();
        let mut parents = VecDeque::from_iter(messages.pop_front());
        let mut count = 0;
        while let Some(parent) = parents.pop_front() {
            let plan = after(&parent);
            let mut ids = compare::Ids::known_from(&parent, compare::now());
            for step in &plan.steps {
                let Step::Publish(publication) = step else {
                    panic!("{file}: {step:?}")
                };
                let expected = messages
                    .pop_front()
                    .unwrap_or_else(|| panic!("{file}: {publication:?}"));
                compare::same(&expected, &compare::shown(publication), &mut ids, file);
                let types = compare::types(&publication.call.encode().properties.headers);
                assert_eq!(expected["header_types"], types, "{file}");
                parents.push_back(expected);
                count += 1;
            }
        }
        assert!(messages.is_empty(), "{file}: not sent: {messages:?}");
        sent.insert(file.clone(), count);
    }
    println!("{sent:?}");
    assert_eq!(files.len(), 14);
    assert_eq!(sent.values().sum::<usize>(), 15);
}

/// Plans the messages that follow a captured message, given what its task does.
fn after(message: &Json) -> Plan {
    let parent = task_message(message);
    let (sender, tasks, routes) = (sender(), tasks(), routes());
    let canvas = Canvas {
        parent: &parent,
        sender: &sender,
        tasks: &tasks,
        routes: &routes,
        now: compare::now(),
    };
    let number = |index: usize| message["body"][0][index].as_i64().unwrap_or_default();
    match parent.task.as_str() {
        "demo.add" => canvas.after_success(&Value::from(number(0) + number(1))),
        "demo.uuid_echo" => canvas.after_success(&parent.positional().expect("arguments")[0]),
        // The captured worker has registered it with three arguments and calls it in its own process.
        "demo.fail" if message["body"][2]["errbacks"][0]["task"] == "demo.errback_new" => Ok(Plan::default()),
        "demo.fail" => canvas.after_failure(),
        "demo.retry" if parent.retries == 0 => {
            let delivery = DeliveryInfo {
                routing_key: "celery".to_owned(),
                ..DeliveryInfo::default()
            };
            let publication = canvas.retry(&delivery, When::In(Duration::from_secs(1)));
            let steps = vec![Step::Publish(Box::new(publication))];
            let children = Vec::new();
            Ok(Plan { steps, children })
        }
        "demo.retry" | "demo.echo" | "demo.errback_old" | "other.errback" => Ok(Plan::default()),
        other => panic!("what does {other} do?"),
    }
    .expect("signatures")
}

/// Covers the one capture that differs: there are no errbacks in the worker's own process here, so this one is
/// sent.
#[test]
fn an_errback_with_three_arguments_is_a_message_too() {
    let capture = golden("canvas-link-error-new.json");
    let messages = capture["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 1, "Celery sends nothing");
    let parent = task_message(&messages[0]);
    let (sender, tasks, routes) = (sender(), tasks(), routes());
    let canvas = Canvas {
        parent: &parent,
        sender: &sender,
        tasks: &tasks,
        routes: &routes,
        now: compare::now(),
    };
    let plan = canvas.after_failure().expect("signatures");
    let [Step::Publish(publication)] = plan.steps.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(publication.call.task, "demo.errback_new");
    assert_eq!(publication.call.args, [Value::from(parent.id.as_str())]);
}

/// Anything that is not a signature is an error, and nothing is sent.
#[test]
fn a_broken_signature_fails_the_task() {
    let call = |chain: Json| {
        let text = json!([[1, 2], {}, {"callbacks": null, "errbacks": null, "chain": chain, "chord": null}]);
        let mut message = golden("canvas-chain.json")["messages"][0].clone();
        message["body"] = text;
        message
    };
    let (sender, tasks, routes) = (sender(), tasks(), routes());
    for (chain, why) in [
        (
            json!([{"task": "celery.group", "subtask_type": "group", "kwargs": {}}]),
            "no list of tasks",
        ),
        (
            json!([{"task": "celery.chain", "subtask_type": "chain", "kwargs": {"tasks": [5]}}]),
            "not an object",
        ),
        (
            json!([{"task": "celery.chord", "subtask_type": "chord", "kwargs": {"header": []}}]),
            "no body",
        ),
        (json!([{"task": "demo.add", "args": 5}]), "not a list"),
        (json!([{"task": "demo.add", "kwargs": [5]}]), "not an object"),
        (json!([{"task": "demo.add", "options": {"priority": 300}}]), "300"),
        (json!([{"task": "demo.add", "options": {"queue": 5}}]), "queue"),
        (json!([{"task": "demo.add", "options": {"link": 5}}]), "link"),
        (json!([{"task": "demo.add", "options": {"chord": 5}}]), "chord"),
        (
            json!([{"task": "demo.add", "options": {"compression": "rar"}}]),
            "rar",
        ),
        (
            json!([{"task": "demo.add", "options": {"expires": "soon"}}]),
            "expires",
        ),
        (json!([{"task": "demo.add", "options": {"eta": 5}}]), "eta"),
    ] {
        let parent = task_message(&call(chain.clone()));
        let canvas = Canvas {
            parent: &parent,
            sender: &sender,
            tasks: &tasks,
            routes: &routes,
            now: compare::now(),
        };
        let error = canvas.after_success(&Value::None).expect_err(&chain.to_string());
        assert!(error.to_string().contains(why), "{chain}: {error}");
    }
}

fn read(value: &Json) -> Value {
    json::parse(value.to_string().as_bytes()).expect("kombu's JSON")
}
