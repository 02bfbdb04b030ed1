use std::path::PathBuf;

use celery_protocol::{FieldValue, Sender};
use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use super::*;

/// Compares the declarations of every captured start with a quorum or a priority queue, in order, with their
/// arguments and the types of the arguments.
#[test]
fn declarations_equal_those_of_celery() {
    let topic = Queue::named("qt")
        .on_exchange("qt", ExchangeType::Topic, "qt")
        .quorum();
    let direct = Queue::named("qd").quorum();
    let priority = Queue::named("prio").with_max_priority(10);
    let mut compared = 0;
    for (file, queue) in [
        ("worker-startup-quorum-topic-ops", topic),
        ("worker-startup-quorum-direct-ops", direct),
        ("worker-startup-priority-ops", priority),
    ] {
        let expected = captured(file);
        let mut ours = Declaration::of(&queue);
        if queue.is_quorum() {
            ours.extend(declarations());
            ours.extend(bindings(&queue));
        }
        let ours: Vec<Json> = ours.iter().map(shown).collect();
        for (index, (expected, ours)) in expected.iter().zip(&ours).enumerate() {
            assert_eq!(expected, ours, "{file} {index}");
        }
        assert_eq!(expected.len(), ours.len(), "{file}");
        compared += ours.len();
    }
    println!("{compared} declarations");
    assert_eq!(compared, (3 + 113 + 2) + (3 + 113) + 3);
}

/// Returns the declarations of a capture, without those of events and remote control: first those of the tasks'
/// connection, then those of the connection for delayed delivery.
fn captured(file: &str) -> Vec<Json> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/celery");
    let text = std::fs::read_to_string(PathBuf::from(directory).join(format!("{file}.json"))).unwrap();
    let capture: Json = serde_json::from_str(&text).unwrap();
    let mut operations = capture["ops"].as_array().unwrap().clone();
    operations.sort_by_key(|operation| operation["conn"].as_u64());
    operations
        .iter()
        .filter(|operation| operation["from"] == "client")
        .filter(|operation| {
            let method = operation["method"].as_str().unwrap();
            matches!(method.split_once('.'), Some((_, "declare" | "bind")))
        })
        .filter(|operation| {
            let text = operation["args"].to_string();
            !text.contains("pidbox") && !text.contains("celeryev")
        })
        .map(|operation| {
            let args = &operation["args"];
            assert_eq!(args["nowait"], false);
            if operation["method"].as_str().unwrap().ends_with(".declare") {
                assert_eq!(
                    (&args["durable"], &args["auto_delete"]),
                    (&json!(true), &json!(false))
                );
            }
            let mut shown = json!({ "method": operation["method"] });
            for name in [
                "exchange",
                "type",
                "queue",
                "destination",
                "source",
                "routing_key",
            ] {
                if let Some(value) = args.get(name) {
                    shown[name] = value.clone();
                }
            }
            for (name, value) in args["arguments"].as_object().into_iter().flatten() {
                let letter = &operation["arg_types"]["arguments"][name];
                shown["arguments"][name] = json!([letter, value]);
            }
            shown
        })
        .collect()
}

fn shown(declaration: &Declaration) -> Json {
    match declaration {
        Declaration::Exchange { name, kind } => {
            json!({"method": "exchange.declare", "exchange": name, "type": kind.name()})
        }
        Declaration::Queue { name, arguments } => {
            let mut shown = json!({"method": "queue.declare", "queue": name});
            for (name, value) in arguments.iter() {
                shown["arguments"][name] = match value {
                    FieldValue::I32(number) => json!(["I", number]),
                    FieldValue::I64(number) => json!(["L", number]),
                    other => json!(["S", other.as_str()]),
                };
            }
            shown
        }
        Declaration::QueueBinding {
            queue,
            exchange,
            routing_key,
        } => {
            json!({"method": "queue.bind", "queue": queue, "exchange": exchange, "routing_key": routing_key})
        }
        Declaration::ExchangeBinding {
            destination,
            source,
            routing_key,
        } => json!({
            "method": "exchange.bind", "destination": destination, "source": source, "routing_key": routing_key
        }),
    }
}

/// Covers every captured producer of a delayed task, and the delivery of one of them.
#[test]
fn delayed_tasks_go_where_celery_sends_them() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/celery");
    let routes = Routes::new(
        "qt",
        &[
            Queue::named("qt")
                .on_exchange("qt", ExchangeType::Topic, "qt")
                .quorum(),
            Queue::named("qd").quorum(),
        ],
    );
    for (file, queue, delay) in [
        ("task-v2-quorum-countdown", "qt", Some(5)),
        ("deliver-quorum-delayed", "qt", Some(5)),
        ("task-v2-quorum-delay", "qt", None),
        ("task-v2-quorum-direct-countdown", "qd", Some(3)),
        ("task-v2-quorum-eta", "qt", Some(97_911_291)),
    ] {
        let text = std::fs::read_to_string(PathBuf::from(directory).join(format!("{file}.json"))).unwrap();
        let capture: Json = serde_json::from_str(&text).unwrap();
        let route = RouteOptions {
            queue: Some(queue),
            ..RouteOptions::default()
        };
        let delayed = delay.and_then(|delay| destination(&routes, route, delay));
        let ours = delayed.unwrap_or_else(|| routes.destination(route));
        let key = capture["routing_key"].as_str().unwrap();
        if file == "task-v2-quorum-eta" {
            // The delay is the time from that capture to the year 2030.
            assert_eq!(without_delay(key), "qt");
            assert_eq!((key.len(), ours.routing_key.len()), (58, 58));
        } else {
            assert_eq!(ours.routing_key, key, "{file}");
        }
        if file != "deliver-quorum-delayed" {
            assert_eq!(capture["exchange"], ours.exchange, "{file}");
        }
    }
}

#[test]
fn an_earlier_delay_is_removed_before_another_is_added() {
    let once = routing_key(5, "task.a");
    assert_eq!(without_delay(&once), "task.a");
    assert_eq!(routing_key(9, &once), routing_key(9, "task.a"));
    for key in ["", "qt", "0.1.qt", "celery"] {
        assert_eq!(without_delay(key), key);
    }
}

#[test]
fn less_than_a_second_is_not_a_delay_and_nine_years_are_capped() {
    let now: Timestamp = "2026-11-22T11:00:00Z".parse().unwrap();
    let sender = Sender {
        origin: "gen1@host".to_owned(),
        reply_to: "r".to_owned(),
    };
    let due = |after: SignedDuration| {
        let mut call = TaskCall::new("demo.add", "42", &sender);
        call.eta = Some((now + after).to_string());
        delay(&call, now)
    };
    assert_eq!(due(SignedDuration::from_millis(999)), None);
    let between = now + SignedDuration::from_nanos(999);
    let countdown = TaskCall::new("demo.add", "42", &sender).with_countdown(1.0, between);
    assert_eq!(delay(&countdown, between), Some(1));
    assert_eq!(due(SignedDuration::from_secs(-5)), None);
    assert_eq!(due(SignedDuration::from_millis(1999)), Some(1));
    assert_eq!(due(SignedDuration::from_hours(24 * 365 * 9)), Some(LONGEST));
    assert_eq!(routing_key(LONGEST, "k"), "1.".repeat(28) + "k");
}
