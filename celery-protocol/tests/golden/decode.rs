//! Every captured task message decodes to what was sent.

use std::collections::BTreeSet;

use celery_protocol::{
    BigInt, DecodeError, Dict, FieldValue, Incoming, IsoTime, Protocol, Refusal, Signature, TaskMessage,
    Text, Value, iso8601, json,
};
use uuid::Uuid;

use crate::capture::{self, Capture, captures};

/// The prefixes of files that contain task messages or their parts. The other files record the behaviour of a worker
/// and are read by its tests.
const PREFIXES: [&str; 6] = [
    "behaviour-malformed-",
    "canvas-",
    "deliver-",
    "observed-",
    "reference-",
    "task-",
];

/// Files with these prefixes that contain no task message, and what reads them instead.
const OTHERS: [(&str, &str); 12] = [
    ("behaviour-malformed-messages", "malformed.rs"),
    ("observed-iso8601", "observed.rs"),
    ("observed-json", "observed.rs"),
    ("observed-messages", "observed.rs"),
    ("observed-saferepr", "observed.rs"),
    ("reference-float-repr", "reference.rs"),
    ("reference-iso8601", "reference.rs"),
    ("reference-saferepr", "reference.rs"),
    ("reference-truncate", "reference.rs"),
    ("reference-matcher", "remote control: not part of this crate"),
    ("reference-rate", "rate limits: not part of this crate"),
    (
        "task-v2-set-error-error",
        "the sender fails: a Value cannot be a set",
    ),
];

/// Returns the files of task messages; each contains at least one message.
pub(crate) fn task_files() -> BTreeSet<String> {
    let mut files = capture::files();
    files.retain(|file| PREFIXES.iter().any(|prefix| file.starts_with(prefix)));
    for (file, why) in OTHERS {
        assert!(files.remove(file), "{file} is gone ({why})");
    }
    files
}

#[test]
fn every_capture_decodes_to_what_was_sent() {
    let (mut tasks, mut events, mut refused, mut undecodable) = (0, 0, 0, 0);
    for file in task_files() {
        let captures = captures(&file);
        assert!(!captures.is_empty(), "{file} contains no message");
        for capture in captures {
            let name = &capture.name;
            if capture.exchange == "celeryev" {
                assert_eq!(
                    Incoming::identify(capture.message),
                    Err(DecodeError::NotATask),
                    "{name}"
                );
                events += 1;
            } else if file == "task-v2-user-type-dict" {
                // kombu cannot read its own output here.
                let error = Incoming::identify(capture.message)
                    .expect(name)
                    .decode()
                    .expect_err(name);
                let text = "DecodeError(ValueError('Unsupported type', <class 'type'>, {'__type__': 'nope', '__value__': ...}))";
                assert!(
                    error
                        .to_string()
                        .starts_with(&format!("Can't decode message body: {text} [type:")),
                    "{error}"
                );
                assert_eq!(error.settlement(), Refusal::Ack);
                undecodable += 1;
            } else if let Some(refusal) = refusal(&file) {
                let incoming = Incoming::identify(capture.message).expect(name);
                let error = incoming.decode().expect_err(name);
                assert_eq!(
                    error.to_string(),
                    format!("Received invalid task message: {refusal}"),
                    "{name}"
                );
                assert_eq!(error.settlement(), Refusal::Reject, "{name}");
                refused += 1;
            } else {
                check(&capture);
                tasks += 1;
            }
        }
    }
    println!("{tasks} tasks, {refused} refused content types, {undecodable} undecodable, {events} events");
    assert_eq!((tasks, refused, undecodable, events), (115, 3, 1, 1));
}

fn refusal(file: &str) -> Option<&'static str> {
    Some(match file {
        "task-v2-serializer-yaml" => {
            "Refusing to deserialize untrusted content of type yaml (application/x-yaml)"
        }
        "task-v2-serializer-msgpack" => {
            "Refusing to deserialize untrusted content of type msgpack (application/x-msgpack)"
        }
        "task-v2-serializer-pickle" => {
            "Refusing to deserialize untrusted content of type pickle (application/x-python-serialize)"
        }
        _ => return None,
    })
}

pub(crate) fn decode(capture: &Capture) -> TaskMessage {
    let incoming = Incoming::identify(capture.message.clone())
        .unwrap_or_else(|error| panic!("{}: {error}", capture.name));
    let name = incoming.task().to_owned();
    let task = incoming
        .decode()
        .unwrap_or_else(|error| panic!("{}: {error}", capture.name));
    assert_eq!(task.task, name, "{}", capture.name);
    task
}

fn check(capture: &Capture) {
    let name = &capture.name;
    let task = decode(capture);
    let properties = &capture.message.properties;
    assert_eq!(task.correlation_id, properties.correlation_id, "{name}");
    assert_eq!(task.reply_to, properties.reply_to, "{name}");
    assert_eq!(task.priority, properties.priority, "{name}");
    assert_eq!(task.headers, properties.headers, "{name}");
    if capture.file.starts_with("task-v1-") {
        check_protocol_1(capture, &task);
    } else {
        check_protocol_2(capture, &task);
    }
}

fn check_protocol_2(capture: &Capture, task: &TaskMessage) {
    let name = &capture.name;
    let header = |key: &str| {
        capture
            .message
            .properties
            .headers
            .get(key)
            .unwrap_or_else(|| panic!("{name}: {key}"))
    };
    let text = |key: &str| match header(key) {
        FieldValue::Void => None,
        other => Some(
            other
                .as_str()
                .unwrap_or_else(|| panic!("{name}: {key}"))
                .to_owned(),
        ),
    };
    assert_eq!(task.protocol, Protocol::V2, "{name}");
    assert!(task.utc, "{name}");
    assert_eq!(Some(&task.task), text("task").as_ref(), "{name}");
    assert_eq!(Some(&task.id), text("id").as_ref(), "{name}");
    assert_eq!(task.shadow, text("shadow"), "{name}");
    assert_eq!(
        task.name(),
        text("shadow").or(text("task")).expect(name),
        "{name}"
    );
    assert_eq!(task.eta.map(|time| time.isoformat()), text("eta"), "{name}");
    assert_eq!(
        task.expires.map(|time| time.isoformat()),
        text("expires"),
        "{name}"
    );
    assert_eq!(task.group, text("group"), "{name}");
    assert_eq!(task.group_index, header("group_index").as_i64(), "{name}");
    assert_eq!(Some(task.retries), header("retries").as_i64(), "{name}");
    assert_eq!(task.root_id, text("root_id"), "{name}");
    assert_eq!(task.parent_id, text("parent_id"), "{name}");
    assert_eq!(Some(&task.argsrepr), text("argsrepr").as_ref(), "{name}");
    assert_eq!(Some(&task.kwargsrepr), text("kwargsrepr").as_ref(), "{name}");
    assert_eq!(task.origin, text("origin"), "{name}");
    assert_eq!(
        FieldValue::from(task.ignore_result),
        *header("ignore_result"),
        "{name}"
    );
    assert_eq!(
        Some(task.replaced_task_nesting),
        header("replaced_task_nesting").as_i64(),
        "{name}"
    );
    let stamped = header("stamped_headers").as_array().unwrap_or_default();
    assert_eq!(
        task.stamped_headers,
        stamped
            .iter()
            .map(|name| name.as_str().expect("text"))
            .collect::<Vec<_>>(),
        "{name}"
    );
    assert_eq!(Some(&task.stamps), header("stamps").as_table(), "{name}");
    assert_eq!(task.stamps.len(), task.stamped_headers.len(), "{name}");
    let limit = |limit: Option<f64>| limit.unwrap_or(-1.0);
    let [hard, soft] = header("timelimit").as_array().expect(name) else {
        panic!("{name}")
    };
    let given = |field: &FieldValue| match field {
        FieldValue::Void => -1.0,
        FieldValue::I32(number) => f64::from(*number),
        FieldValue::F64(number) => *number,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(
        (limit(task.timelimit.0), limit(task.timelimit.1)),
        (given(hard), given(soft)),
        "{name}"
    );
    // The decoded parts, encoded again, are the captured text.
    let signatures = |list: &Option<Vec<Signature>>| {
        list.clone().map_or(Value::None, |list| {
            Value::List(list.into_iter().map(Value::from).collect())
        })
    };
    let embed = Dict::from_iter([
        ("callbacks", signatures(&task.embed.callbacks)),
        ("errbacks", signatures(&task.embed.errbacks)),
        ("chain", signatures(&task.embed.chain)),
        ("chord", task.embed.chord.clone().map_or(Value::None, Value::from)),
    ]);
    let body = Value::List(vec![task.args.clone(), task.kwargs.clone(), Value::Dict(embed)]);
    assert_eq!(json::to_json(&body), body_text(capture), "{name}");
}

/// Returns the JSON text of the body; for compressed captures, that of the same call without compression.
pub(crate) fn body_text(capture: &Capture) -> String {
    let capture = if capture.file.starts_with("task-v2-compression-") {
        &captures("task-v2-delay")[0]
    } else {
        capture
    };
    String::from_utf8(capture.message.body.clone()).expect("UTF-8")
}

fn check_protocol_1(capture: &Capture, task: &TaskMessage) {
    let name = &capture.name;
    let Ok(Value::Dict(body)) = json::parse(&capture.message.body) else {
        panic!("{name}")
    };
    let field = |key: &str| body.get(key).unwrap_or_else(|| panic!("{name}: {key}"));
    let text = |key: &str| field(key).as_str().map(str::to_owned);
    let seconds = |limit: &Value| {
        limit
            .as_i64()
            .map(|limit| i32::try_from(limit).expect(name))
            .map(f64::from)
    };
    assert_eq!(task.protocol, Protocol::V1, "{name}");
    assert_eq!(Some(&task.task), text("task").as_ref(), "{name}");
    assert_eq!(Some(&task.id), text("id").as_ref(), "{name}");
    assert_eq!(&task.args, field("args"), "{name}");
    assert_eq!(&task.kwargs, field("kwargs"), "{name}");
    assert_eq!(task.eta.map(|time| time.isoformat()), text("eta"), "{name}");
    assert_eq!(
        task.expires.map(|time| time.isoformat()),
        text("expires"),
        "{name}"
    );
    assert_eq!(Some(task.retries), field("retries").as_i64(), "{name}");
    assert_eq!(task.utc, field("utc").is_truthy(), "{name}");
    assert_eq!(task.group, text("group"), "{name}");
    let limits = field("timelimit").as_list().expect(name);
    assert_eq!(
        (task.timelimit.0, task.timelimit.1),
        (seconds(&limits[0]), seconds(&limits[1])),
        "{name}"
    );
    assert_eq!(task.embed, celery_protocol::Embed::default(), "{name}");
    assert_eq!(task.argsrepr, task.args.py_repr(), "{name}");
    assert_eq!(task.kwargsrepr, task.kwargs.py_repr(), "{name}");
    assert_eq!(
        (&task.shadow, &task.root_id, &task.origin, task.ignore_result),
        (&None, &None, &None, None),
        "{name}"
    );
}

fn only(file: &str) -> TaskMessage {
    let [capture] = &captures(file)[..] else {
        panic!("{file}")
    };
    decode(capture)
}

fn station() -> Uuid {
    Uuid::from_u128(0x123e_4567_e89b_12d3_a456_4266_1417_4000)
}

#[test]
fn typed_values() {
    let task = only("task-v2-typed-values");
    let kwargs = task.keywords().expect("a dict");
    let text = str::to_owned;
    let expected = Dict::from_iter([
        ("uuid", Value::Uuid(station())),
        (
            "datetime_aware",
            Value::DateTime(text("2026-01-02T03:04:05.678901+00:00")),
        ),
        ("datetime_naive", Value::DateTime(text("2026-01-02T03:04:05"))),
        ("date", Value::Date(text("2026-01-02"))),
        ("time", Value::Time(text("03:04:05.000006"))),
        ("decimal", Value::Decimal(text("1.10"))),
        ("bytes_utf8", Value::Bytes(b"abc".to_vec())),
        ("bytes_bin", Value::Bytes(vec![0xFF, 0])),
        ("tuple", Value::List(vec![1.into(), 2.into()])),
        (
            "nested",
            Value::Dict(Dict::from_iter([("a", vec![Value::Uuid(station())])])),
        ),
        ("none", Value::None),
        ("true", Value::Bool(true)),
        (
            "int_key",
            Value::Dict(Dict::from_iter([("1", "z"), ("null", "y"), ("1.5", "w")])),
        ),
        ("obj", Value::Dict(Dict::from_iter([("from", "__json__")]))),
    ]);
    assert_eq!(*kwargs, expected);
}

#[test]
fn numbers_and_texts_that_rust_cannot_hold() {
    let args = only("task-v2-bigint").args;
    let big: Vec<&BigInt> = args
        .as_list()
        .expect("a list")
        .iter()
        .filter_map(as_big)
        .collect();
    assert!(!big.is_empty());
    assert!(
        big.iter().all(|number| number.as_str().parse::<i64>().is_err()),
        "{big:?}"
    );

    let args = only("task-v2-nan").args;
    let [Value::Float(nan), Value::Float(inf), Value::Float(minus)] = args.as_list().expect("a list") else {
        panic!("{args:?}")
    };
    assert!(nan.is_nan() && *inf == f64::INFINITY && *minus == f64::NEG_INFINITY);

    let args = only("task-v2-lone-surrogate").args;
    let lone = Text::from_wtf8(b"lone\xED\xA0\x80".to_vec()).expect("a surrogate");
    assert_eq!(args, Value::List(vec![Value::Text(lone)]));
}

fn as_big(value: &Value) -> Option<&BigInt> {
    match value {
        Value::BigInt(number) => Some(number),
        _ => None,
    }
}

#[test]
fn the_message_of_the_public_api() {
    let task = only("task-v2-delay");
    let args = vec![
        Value::Uuid(station()),
        "validDriverToken4321".into(),
        "http://127.0.0.1:9000/cb".into(),
        1_795_342_377_000_000_000_i64.into(),
    ];
    assert_eq!(task.args, Value::List(args));
    assert_eq!(task.ignore_result, Some(true));
}

#[test]
fn canvas() {
    let chain = only("task-v2-chain").embed.chain.expect("a chain");
    let steps: Vec<_> = chain
        .iter()
        .map(|step| (step.task(), step.args(), step.is_immutable()))
        .collect();
    assert_eq!(
        steps,
        [
            ("demo.add", &[Value::Int(4)][..], false),
            ("demo.add", &[Value::Int(3)][..], false)
        ]
    );
    assert!(
        chain
            .iter()
            .all(|step| step.option("task_id").and_then(Value::as_str).is_some())
    );

    let chord = &captures("task-v2-chord")[0];
    let body = decode(chord).embed.chord.expect("a chord body");
    assert_eq!(
        (body.task(), body.args(), body.subtask_type()),
        ("demo.sum", &[][..], None)
    );

    let group = decode(&captures("canvas-link-group")[0])
        .embed
        .callbacks
        .expect("callbacks");
    let [group] = &group[..] else { panic!("{group:?}") };
    assert_eq!(
        (group.task(), group.subtask_type()),
        ("celery.group", Some("group"))
    );
    let members = group.kwarg("tasks").and_then(Value::as_list).expect("tasks");
    let members: Vec<Signature> = members
        .iter()
        .cloned()
        .filter_map(Signature::from_value)
        .collect();
    assert_eq!(
        members.iter().map(Signature::args).collect::<Vec<_>>(),
        [&[Value::Int(10)][..], &[Value::Int(20)][..]]
    );

    let last = captures("canvas-chain")
        .into_iter()
        .last()
        .expect("the last message");
    assert_eq!(decode(&last).embed.chain, Some(Vec::new()));
}

#[test]
fn times_without_offset_are_utc() {
    let eta = only("task-v2-eta-naive").eta.expect("an eta");
    assert!(eta.is_naive());
    assert_eq!(eta.timestamp().to_string(), "2030-01-02T03:04:05Z");
    let eta = only("task-v2-eta-offset").eta.expect("an eta");
    assert_eq!(eta.timestamp().to_string(), "2030-01-01T21:34:05Z");
    let aware: IsoTime = iso8601::parse("2030-01-01T21:34:05Z").expect("a time");
    assert_eq!(aware.timestamp(), eta.timestamp());
}
