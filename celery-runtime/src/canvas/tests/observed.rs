//! Compares the plans with `worker-canvas.json`: the messages that Celery's own tracer sent after 144 messages.

use celery_protocol::iso8601;

use super::*;

#[test]
fn plans_equal_the_messages_of_every_observed_worker() {
    let observed = golden("worker-canvas.json");
    let cases = observed["cases"].as_array().expect("cases");
    let (mut messages, mut chords, mut children) = (0, 0, 0);
    for case in cases {
        let name = case["case"].as_str().expect("a name");
        let now = case["now"].as_str().expect("a time").parse().expect("a time");
        let plan = follow(case, now);
        let mut ids = compare::Ids::known_from(&case["message"], now);
        let expected = case["sends"].as_array().expect("a list");
        let steps: Vec<&Step> = if case["chords"] == false && has_chord(&plan) {
            // Without a result backend the task fails instead, and nothing is sent.
            assert!(
                case["exception"]
                    .as_str()
                    .is_none_or(|error| error.contains("Starting chords requires a result backend")),
                "{name}: {case}"
            );
            Vec::new()
        } else {
            plan.steps.iter().collect()
        };
        assert_eq!(steps.len(), expected.len(), "{name}: {steps:#?}");
        for (step, expected) in steps.into_iter().zip(expected) {
            match step {
                Step::ChordSize { group, size } => {
                    let chord = expected["chord"]
                        .as_str()
                        .unwrap_or_else(|| panic!("{name}: {step:?}"));
                    assert!(ids.same(chord, group), "{name}: {chord} {group}");
                    assert_eq!(expected["size"].as_u64(), u64::try_from(*size).ok(), "{name}");
                    chords += 1;
                }
                Step::Publish(publication) => {
                    let mut expected = expected.clone();
                    // The observer sits in front of the serializer, which sets these.
                    expected["properties"]["content_type"] = json!("application/json");
                    expected["properties"]["content_encoding"] = json!("utf-8");
                    if let Some(alias) = expected["compression"].as_str() {
                        let compression = celery_protocol::Compression::from_header(alias);
                        expected["compression"] =
                            json!(compression.map(celery_protocol::Compression::header));
                    }
                    compare::same(&expected, &compare::shown(publication), &mut ids, name);
                    declares(&expected, publication, name);
                    messages += 1;
                }
            }
        }
        if let Some(expected) = case.get("children") {
            let shown: Vec<Json> = plan.children.iter().map(tree).collect();
            compare::compare(
                &without_parents(expected),
                &Json::Array(shown),
                &mut ids,
                &format!("{name} children"),
            );
            children += 1;
        }
    }
    println!(
        "{} cases: {messages} messages, {chords} chords, {children} lists of children",
        cases.len()
    );
    assert_eq!(cases.len(), 144);
}

/// Asserts which queue is declared. Celery also declares the default queue for a task that names exchange and key;
/// that queue may exist for other tasks, but the message does not go there.
fn declares(expected: &Json, publication: &Publication, name: &str) {
    let declared = publication.destination.declare.as_ref();
    let declared: Vec<&str> = declared.iter().map(|queue| queue.name.as_str()).collect();
    if expected["exchange"] == "celery" || name == "retry-exchange" {
        assert_eq!(
            (declared, &expected["declare"]),
            (vec![], &json!(["celery"])),
            "{name}"
        );
    } else {
        assert_eq!(expected["declare"], json!(declared), "{name}");
    }
}

fn has_chord(plan: &Plan) -> bool {
    plan.steps
        .iter()
        .any(|step| matches!(step, Step::ChordSize { .. }))
}

fn follow(case: &Json, now: Timestamp) -> Plan {
    let parent = task_message(&case["message"]);
    let (sender, tasks, routes) = (sender(), tasks(), routes());
    let canvas = Canvas {
        parent: &parent,
        sender: &sender,
        tasks: &tasks,
        routes: &routes,
        now,
    };
    let plan = match parent.task.as_str() {
        "demo.ignore" => Ok(Plan::default()),
        "demo.fail" => canvas.after_failure(),
        "demo.retry" if parent.retries >= 3 => canvas.after_failure(),
        "demo.retry" => {
            let text = |name: &str| {
                case["message"]["delivery_info"][name]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            let delivery = DeliveryInfo {
                exchange: text("exchange"),
                routing_key: text("routing_key"),
                redelivered: false,
            };
            let steps = vec![Step::Publish(Box::new(
                canvas.retry(&delivery, when(&case["retry"])),
            ))];
            Ok(Plan {
                steps,
                children: Vec::new(),
            })
        }
        _ => canvas.after_success(&read(&case["result"])),
    };
    plan.unwrap_or_else(|error| panic!("{}: {error}", case["case"]))
}

fn when(retry: &Json) -> When {
    if let Some(eta) = retry["eta"]["__value__"].as_str() {
        return When::At(iso8601::parse(eta).expect("a time").timestamp());
    }
    let seconds = retry["countdown"].as_f64().unwrap_or(180.0);
    When::In(Duration::from_secs_f64(seconds))
}

/// Returns `AsyncResult.as_tuple()` of a child.
fn tree(child: &Child) -> Json {
    match child {
        Child::Task(id) => json!([[id, null], null]),
        Child::Group(id, members) => json!([[id, null], members.iter().map(tree).collect::<Vec<_>>()]),
    }
}

/// Removes the parents of results, the steps before them in a chain, which are not kept here.
fn without_parents(children: &Json) -> Json {
    let without = |child: &Json| {
        let members = match &child[1] {
            members @ Json::Array(_) => without_parents(members),
            _ => Json::Null,
        };
        json!([[child[0][0], null], members])
    };
    children.as_array().expect("a list").iter().map(without).collect()
}
