//! Compares our message for a call with Python's, field by field and byte by byte.
//!
//! Ids, times and the origin of a capture are checked for their form and then passed to our call.

use celery_protocol::saferepr::saferepr;
use celery_protocol::{
    Compression, Dict, FieldTable, FieldValue, Message, Sender, Signature, TaskCall, TaskMessage, Text, Value,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::capture::{Capture, captures};
use crate::decode::{body_text, decode, task_files};

/// Captures whose sender set `argsrepr` or `kwargsrepr`, or whose arguments had types that the body does not show.
const OWN_REPR: [(&str, &str); 4] = [
    (
        "canvas-chain-immutable",
        "args are a list, as a worker replays a signature",
    ),
    ("task-v2-argsrepr-override", "given by the caller"),
    ("task-v2-argsrepr-types", "tuples among the arguments"),
    (
        "task-v2-typed-values",
        "a tuple, keys that are not strings, an object with __json__",
    ),
];

/// Captures that this crate does not send in that form.
const NOT_SENT: [(&str, &str); 11] = [
    (
        "deliver-quorum-delayed",
        "a delivery: the broker has sorted the headers and added x-death",
    ),
    ("task-v1-countdown-no-utc", "protocol 1"),
    ("task-v1-delay", "protocol 1"),
    ("task-v1-eta-naive", "protocol 1"),
    ("task-v1-kwargs", "protocol 1"),
    ("task-v1-options", "protocol 1"),
    ("task-v2-serializer-msgpack", "not JSON"),
    ("task-v2-serializer-pickle", "not JSON"),
    ("task-v2-serializer-yaml", "not JSON"),
    ("task-v2-user-type-dict", "a Value has no dict that looks typed"),
    ("task-v2-with-sent-event 2", "an event"),
];

#[test]
fn every_capture_can_be_sent_again() {
    let (mut sent, mut own_repr, mut not_sent) = (0, Vec::new(), Vec::new());
    for file in task_files() {
        for capture in captures(&file) {
            if NOT_SENT.iter().any(|(name, _)| *name == capture.name) {
                not_sent.push(capture.name);
                continue;
            }
            check_volatile(&capture);
            let task = decode(&capture);
            let mut call = call_of(&capture, &task);
            let computed = compare(&capture, &call.encode());
            if computed.is_err() && OWN_REPR.iter().any(|(name, _)| *name == file) {
                call.argsrepr = Some(shown(&capture, "argsrepr"));
                call.kwargsrepr = Some(shown(&capture, "kwargsrepr"));
                assert_eq!(compare(&capture, &call.encode()), Ok(()), "{}", capture.name);
                own_repr.push(file.clone());
            } else {
                assert_eq!(computed, Ok(()), "{}", capture.name);
            }
            sent += 1;
        }
    }
    println!("{sent} messages, not sent: {not_sent:?}");
    assert_eq!(not_sent, NOT_SENT.map(|(name, _)| name));
    assert_eq!(own_repr, OWN_REPR.map(|(file, _)| file));
    assert_eq!(sent, 109);
}

fn shown(capture: &Capture, name: &str) -> Text {
    match capture.message.properties.headers.get(name) {
        Some(FieldValue::LongString(bytes)) => Text::from_wtf8(bytes.clone()).expect(name),
        other => panic!("{}: {other:?}", capture.name),
    }
}

/// Checks the form of the values that differ from run to run.
fn check_volatile(capture: &Capture) {
    let name = &capture.name;
    let properties = &capture.message.properties;
    let header = |key: &str| {
        properties
            .headers
            .get(key)
            .and_then(FieldValue::as_str)
            .unwrap_or_else(|| panic!("{name}: {key}"))
    };
    let id = header("id");
    if capture.file != "task-v2-task-id-custom" {
        assert!(
            Uuid::try_parse(id).is_ok_and(|uuid| uuid.get_version_num() == 4),
            "{name}: {id}"
        );
    }
    assert_eq!(properties.correlation_id.as_deref(), Some(id), "{name}");
    let reply_to = properties.reply_to.as_deref().expect(name);
    if capture.file != "task-v2-reply-to" {
        assert!(
            Uuid::try_parse(reply_to).is_ok_and(|uuid| uuid.get_version_num() == 3),
            "{name}: {reply_to}"
        );
    }
    let (pid, host) = header("origin")
        .strip_prefix("gen")
        .and_then(|origin| origin.split_once('@'))
        .expect(name);
    assert!(pid.parse::<u32>().is_ok() && !host.is_empty(), "{name}");
}

const PROTOCOL_HEADERS: [&str; 20] = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
    "compression",
];

/// Returns the call that led to a capture, as far as the message shows it.
fn call_of(capture: &Capture, task: &TaskMessage) -> TaskCall {
    let properties = &capture.message.properties;
    let text = |key: &str| {
        properties
            .headers
            .get(key)
            .and_then(FieldValue::as_str)
            .map(str::to_owned)
    };
    let compression =
        text("compression").map(|header| Compression::from_header(&header).expect("a compression"));
    let stamped = properties
        .headers
        .get("stamped_headers")
        .and_then(FieldValue::as_array);
    let own = properties
        .headers
        .iter()
        .filter(|(name, _)| !PROTOCOL_HEADERS.contains(name));
    let overridden = FieldTable::from_iter([("retries", FieldValue::I32(3)), ("lang", "rust".into())]);
    let (retries, headers) = match &*capture.file {
        "task-v2-headers-override" => (0, overridden),
        _ => (
            task.retries,
            own.map(|(name, value)| (name, value.clone())).collect(),
        ),
    };
    TaskCall {
        args: task.args.as_list().expect("a list").to_vec(),
        kwargs: task.keywords().expect("a dict").clone(),
        embed: task.embed.clone(),
        shadow: task.shadow.clone(),
        eta: text("eta"),
        expires: text("expires"),
        expiration: properties
            .expiration
            .as_ref()
            .map(|text| text.parse().expect("milliseconds")),
        group: task.group.clone(),
        group_index: task.group_index,
        retries,
        timelimit: task.timelimit,
        root_id: task.root_id.clone(),
        parent_id: task.parent_id.clone(),
        ignore_result: task.ignore_result,
        stamped_headers: stamped.map(|names| {
            names
                .iter()
                .map(|name| name.as_str().expect("text").to_owned())
                .collect()
        }),
        stamps: task.stamps.clone(),
        priority: properties.priority,
        delivery_mode: properties.delivery_mode.expect("a delivery mode"),
        headers,
        compression,
        ..TaskCall::new(&task.task, &*task.id, &sender(capture))
    }
}

fn sender(capture: &Capture) -> Sender {
    let properties = &capture.message.properties;
    let origin = properties
        .headers
        .get("origin")
        .and_then(FieldValue::as_str)
        .expect("an origin");
    Sender {
        origin: origin.to_owned(),
        reply_to: properties.reply_to.clone().expect("a reply_to"),
    }
}

/// Returns the first difference: properties, then headers with order and types, then the body.
fn compare(capture: &Capture, ours: &Message) -> Result<(), String> {
    let python = &capture.message;
    let without_headers = |message: &Message| {
        let mut properties = message.properties.clone();
        properties.headers = FieldTable::new();
        properties
    };
    if without_headers(ours) != without_headers(python) {
        return Err(format!("{:?}", without_headers(ours)));
    }
    let (our_headers, python_headers) = (&ours.properties.headers, &python.properties.headers);
    let names = |headers: &FieldTable| {
        headers
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect::<Vec<_>>()
    };
    if names(our_headers) != names(python_headers) {
        return Err(format!(
            "headers {:?}, Python {:?}",
            names(our_headers),
            names(python_headers)
        ));
    }
    for ((name, our), (_, python)) in our_headers.iter().zip(python_headers.iter()) {
        if capture.file == "task-v2-lone-surrogate" && name == "argsrepr" {
            // The capture was stored as text, U+FFFD for each of the three bytes.
            assert_eq!(*our, FieldValue::LongString(b"('lone\xED\xA0\x80',)".to_vec()));
            assert_eq!(python.as_str(), Some("('lone\u{FFFD}\u{FFFD}\u{FFFD}',)"));
        } else if our != python {
            return Err(format!("{name}: {our:?}, Python {python:?}"));
        }
    }
    let compression = our_headers
        .get("compression")
        .and_then(FieldValue::as_str)
        .and_then(Compression::from_header);
    let body = match compression {
        Some(compression) => compression
            .decompress(&ours.body)
            .map_err(|error| error.to_string())?,
        None => ours.body.clone(),
    };
    if body != body_text(capture).as_bytes() {
        return Err(format!("body {}", String::from_utf8_lossy(&body)));
    }
    Ok(())
}

const AUTHORIZE: &str = "authorization_worker.tasks.authorize";
const TOKEN: &str = "validDriverToken4321";
const URL: &str = "http://127.0.0.1:9000/cb";
const EXPIRY: i64 = 1_795_342_377_000_000_000;

fn station() -> Value {
    Value::Uuid(Uuid::from_u128(0x123e_4567_e89b_12d3_a456_4266_1417_4000))
}

/// `authorize.apply_async(args=(UUID, token, url, expiry_ns))`.
fn authorize(call: TaskCall) -> TaskCall {
    let call = call.with_args(vec![station(), TOKEN.into(), URL.into(), EXPIRY.into()]);
    TaskCall {
        ignore_result: Some(true),
        ..call
    }
}

/// Compares a call with a capture. `make` gets a plain call with the capture's id and sender, and the capture.
fn same(file: &str, make: impl Fn(TaskCall, &Capture) -> TaskCall) {
    let captures = captures(file);
    let capture = captures.first().expect(file);
    check_volatile(capture);
    let header = |key: &str| {
        capture
            .message
            .properties
            .headers
            .get(key)
            .and_then(FieldValue::as_str)
            .expect(key)
    };
    let plain = TaskCall::new(header("task"), header("id"), &sender(capture));
    assert_eq!(compare(capture, &make(plain, capture).encode()), Ok(()), "{file}");
}

/// Returns the time of the capture: its `eta` or `expires`, less the caller's delay.
fn sent_at(capture: &Capture, header: &str, milliseconds: i64) -> Timestamp {
    let text = capture
        .message
        .properties
        .headers
        .get(header)
        .and_then(FieldValue::as_str)
        .expect(header);
    text.parse::<Timestamp>().expect("a time") - SignedDuration::from_millis(milliseconds)
}

#[test]
fn plain_calls() {
    same("task-v2-delay", |call, _| {
        assert_eq!(call.task, AUTHORIZE);
        authorize(call)
    });
    same("task-v2-delay-second", |call, _| authorize(call));
    same("task-v2-send-task", |call, _| TaskCall {
        ignore_result: None,
        ..authorize(call)
    });
    same("task-v2-send-task-remote", |call, _| TaskCall {
        ignore_result: None,
        ..authorize(call)
    });
    same("task-v2-ignore-result-false", |call, _| TaskCall {
        ignore_result: Some(false),
        ..authorize(call)
    });
    same("task-v2-priority", |call, _| TaskCall {
        priority: Some(7),
        ..authorize(call)
    });
    same("task-v2-queue", |call, _| TaskCall {
        priority: None,
        ..authorize(call)
    });
    same("task-v2-delivery-mode-transient", |call, _| TaskCall {
        delivery_mode: 1,
        ..authorize(call)
    });
    same("task-v2-shadow", |call, _| TaskCall {
        shadow: Some("pretty.name".to_owned()),
        ..authorize(call)
    });
    same("task-v2-reply-to", |call, _| TaskCall {
        reply_to: "my.reply.queue".to_owned(),
        ..authorize(call)
    });
    same("task-v2-time-limits", |call, _| TaskCall {
        timelimit: (Some(30.0), Some(25.0)),
        ..authorize(call)
    });
    same("task-v2-time-limits-float", |call, _| TaskCall {
        timelimit: (Some(30.5), None),
        ..authorize(call)
    });
    same("task-v2-argsrepr-override", |call, capture| TaskCall {
        argsrepr: Some(shown(capture, "argsrepr")),
        kwargsrepr: Some("<none>".into()),
        ..authorize(call)
    });
    for (compression, name) in [
        (Compression::Zlib, "gzip"),
        (Compression::Zlib, "zlib"),
        (Compression::Bzip2, "bzip2"),
        (Compression::Lzma, "lzma"),
        (Compression::Brotli, "brotli"),
        (Compression::Zstd, "zstd"),
    ] {
        same(&format!("task-v2-compression-{name}"), |call, _| TaskCall {
            compression: Some(compression),
            ..authorize(call)
        });
    }
}

#[test]
fn arguments() {
    same("task-v2-station-str", |call, _| {
        let call = authorize(call);
        let args = [&["123e4567-e89b-12d3-a456-426614174000".into()], &call.args[1..]].concat();
        call.with_args(args)
    });
    same("task-v2-kwargs", |call, _| {
        let kwargs = [
            ("station_id", station()),
            ("driver_token", TOKEN.into()),
            ("callback_url", URL.into()),
            ("expiry_time_ns", EXPIRY.into()),
        ];
        TaskCall {
            args: Vec::new(),
            ..authorize(call)
        }
        .with_kwargs(Dict::from_iter(kwargs))
    });
    same("task-v2-mixed-args", |call, _| {
        let kwargs = [
            ("callback_url", Value::from(URL)),
            ("expiry_time_ns", EXPIRY.into()),
        ];
        authorize(call)
            .with_args(vec![station(), TOKEN.into()])
            .with_kwargs(Dict::from_iter(kwargs))
    });
    same("task-v2-argsrepr-types", |call, _| {
        let python_tuple = |items| Value::Tuple(items);
        call.with_args(vec![
            "a'b\"c\nd\\e".into(),
            "hé😀".into(),
            Value::Bytes(b"by".to_vec()),
            Value::Bytes(vec![0xFF]),
            1.5.into(),
            1e16.into(),
            true.into(),
            Value::None,
            Value::Decimal("1.1".to_owned()),
            Value::Date("2026-01-02".to_owned()),
            python_tuple(vec![1.into()]),
            python_tuple(Vec::new()),
            Value::List(Vec::new()),
            Value::Dict(Dict::new()),
            Value::from(1_000_000_000_000_000_000_000_000_000_000_i128),
        ])
    });
    same("task-v2-lone-surrogate", |call, _| {
        call.with_args(vec![Value::Text(
            "lone".chars().map(u32::from).chain([0xD800]).collect(),
        )])
    });
    same("task-v2-nan", |call, _| {
        call.with_args(vec![
            f64::NAN.into(),
            f64::INFINITY.into(),
            f64::NEG_INFINITY.into(),
        ])
    });
}

#[test]
fn times() {
    same("task-v2-countdown", |call, capture| {
        authorize(call).with_countdown(10.0, sent_at(capture, "eta", 10_000))
    });
    same("task-v2-countdown-float", |call, capture| {
        authorize(call).with_countdown(0.5, sent_at(capture, "eta", 500))
    });
    same("task-v2-expires-int", |call, capture| {
        authorize(call).with_expires_in(60.0, sent_at(capture, "expires", 60_000))
    });
    same("task-v2-expires-float", |call, capture| {
        authorize(call).with_expires_in(1.5, sent_at(capture, "expires", 1500))
    });
    same("task-v2-expires-past", |call, capture| {
        authorize(call).with_expires_in(-5.0, sent_at(capture, "expires", -5000))
    });
    same("task-v2-expires-datetime", |call, capture| {
        // Python took its time a fraction of a millisecond before the whole one.
        let now = sent_at(capture, "expires", 98_210_850_543) - SignedDuration::from_micros(400);
        authorize(call).with_expires_at(
            celery_protocol::iso8601::parse("2030-01-02T03:04:05+00:00").expect("a time"),
            now,
        )
    });
    let eta = |text: &str| Some(text.to_owned());
    same("task-v2-eta-utc", |call, _| TaskCall {
        eta: eta("2030-01-02T03:04:05.678901+00:00"),
        ..authorize(call)
    });
    same("task-v2-eta-naive", |call, _| TaskCall {
        eta: eta("2030-01-02T03:04:05"),
        ..authorize(call)
    });
    same("task-v2-eta-offset", |call, _| TaskCall {
        eta: eta("2030-01-02T03:04:05+05:30"),
        ..authorize(call)
    });
    same("task-v2-delay", |call, _| {
        authorize(call).with_countdown(0.0, Timestamp::UNIX_EPOCH)
    });
}

#[test]
fn headers_stamps_and_canvas() {
    same("task-v2-headers", |call, _| {
        let headers = FieldTable::from_iter([
            ("tenant", FieldValue::from("acme")),
            ("n", 7.into()),
            ("big", FieldValue::from(1_099_511_627_776)),
            ("f", 1.5.into()),
            ("b", true.into()),
            ("none", FieldValue::Void),
            ("list", vec![1.into(), "a".into(), FieldValue::Void].into()),
            ("map", FieldTable::from_iter([("k", "v")]).into()),
        ]);
        TaskCall {
            headers,
            ..authorize(call)
        }
    });
    same("task-v2-headers-override", |call, _| {
        let headers = FieldTable::from_iter([("retries", FieldValue::from(3)), ("lang", "rust".into())]);
        TaskCall {
            headers,
            ..authorize(call)
        }
    });
    same("task-v2-stamped", |call, _| {
        let tags = FieldValue::from(vec!["a".into(), "b".into()]);
        TaskCall {
            stamped_headers: Some(vec!["tags".to_owned(), "mtask_id".to_owned()]),
            stamps: FieldTable::from_iter([("tags", tags), ("mtask_id", "m-1".into())]),
            ..authorize(call)
        }
    });
    same("canvas-link", |call, _| {
        let mut call = call.with_args(vec![1.into(), 2.into()]);
        call.ignore_result = Some(false);
        call.embed.callbacks = Some(vec![Signature::new("demo.add", vec![10.into()], Dict::new())]);
        call
    });
}

#[test]
fn a_replayed_signature_shows_its_arguments_as_a_list() {
    let second = captures("canvas-chain-immutable").remove(1);
    assert_eq!(
        shown(&second, "argsrepr"),
        saferepr(&decode(&second).args, Some(1024), 3)
    );
}
