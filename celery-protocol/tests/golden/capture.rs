//! Reads the golden files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use celery_protocol::{Dict, FieldTable, FieldValue, Message, Properties, Value, json};

/// A captured message.
pub(crate) struct Capture {
    /// The file name, and the number of the message if there are several.
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) exchange: String,
    pub(crate) message: Message,
}

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/celery"))
}

/// Returns the names of all JSON files of that folder, without the extension.
pub(crate) fn files() -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory()).expect("the golden files are there");
    let names = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("ASCII"));
    names
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect()
}

pub(crate) fn read(file: &str) -> Dict {
    let path = directory().join(format!("{file}.json"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match json::parse_untyped(&bytes) {
        Ok(Value::Dict(dict)) => dict,
        other => panic!("{file}: {other:?}"),
    }
}

pub(crate) fn cases(file: &str) -> Vec<Value> {
    read(file)
        .get("cases")
        .and_then(Value::as_list)
        .expect("cases")
        .to_vec()
}

/// Returns the messages of a file; none if the case failed at the sender.
pub(crate) fn captures(file: &str) -> Vec<Capture> {
    let dict = read(file);
    if dict.get("error").is_some() {
        return Vec::new();
    }
    let single = [Value::Dict(dict.clone())];
    let several = dict.get("messages").and_then(Value::as_list);
    let messages = several.unwrap_or(&single);
    let count = messages.len();
    let capture = |(i, message): (usize, &Value)| {
        let message = message.as_dict().expect("an object");
        Capture {
            name: if count == 1 {
                file.to_owned()
            } else {
                format!("{file} {}", i + 1)
            },
            file: file.to_owned(),
            exchange: text(message, "exchange").expect("an exchange"),
            message: captured_message(message),
        }
    };
    messages.iter().enumerate().map(capture).collect()
}

pub(crate) fn text(dict: &Dict, key: &str) -> Option<String> {
    dict.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// Reads `properties`, `headers` with or without `header_types`, and the body in one of its three forms.
pub(crate) fn captured_message(capture: &Dict) -> Message {
    let properties = capture
        .get("properties")
        .and_then(Value::as_dict)
        .expect("properties");
    let number = |key: &str| {
        properties
            .get(key)
            .map(|value| u8::try_from(value.as_i64().expect(key)).expect(key))
    };
    let known = [
        "content_type",
        "content_encoding",
        "delivery_mode",
        "priority",
        "correlation_id",
        "reply_to",
        "expiration",
    ];
    for (key, _) in properties {
        assert!(
            known.contains(&key.as_str().expect("ASCII")),
            "unknown property {key}"
        );
    }
    let types = capture.get("header_types").and_then(Value::as_dict);
    let headers = match capture.get("headers") {
        Some(Value::Dict(headers)) => table(headers, types),
        _ => FieldTable::new(),
    };
    Message {
        properties: Properties {
            content_type: text(properties, "content_type"),
            content_encoding: text(properties, "content_encoding"),
            headers,
            delivery_mode: number("delivery_mode"),
            priority: number("priority"),
            correlation_id: text(properties, "correlation_id"),
            reply_to: text(properties, "reply_to"),
            expiration: text(properties, "expiration"),
            ..Properties::default()
        },
        body: body(capture),
    }
}

fn body(capture: &Dict) -> Vec<u8> {
    let base64 = |text: &str| STANDARD.decode(text).expect("base64");
    if let Some(text) = capture.get("body_base64").and_then(Value::as_str) {
        return base64(text);
    }
    if let Some(text) = capture.get("body_text").and_then(Value::as_str) {
        return text.as_bytes().to_vec();
    }
    let body = capture.get("body").and_then(Value::as_dict).expect("a body");
    base64(body.get("base64").and_then(Value::as_str).expect("base64"))
}

fn table(values: &Dict, types: Option<&Dict>) -> FieldTable {
    let kind = |key| types.map(|types| types.get(key).unwrap_or_else(|| panic!("no type of {key}")));
    let names = values
        .iter()
        .map(|(key, value)| (key.as_str().expect("UTF-8"), value));
    names.map(|(key, value)| (key, field(value, kind(key)))).collect()
}

/// Reads a header by its wire letter; if the capture has none, by the type that py-amqp gives it.
pub(crate) fn field(value: &Value, kind: Option<&Value>) -> FieldValue {
    let letter = match kind {
        Some(Value::Text(letter)) => Some(letter.as_str().expect("a letter")),
        Some(Value::List(_)) => Some("A"),
        Some(Value::Dict(_)) => Some("F"),
        _ => None,
    };
    match (value, letter) {
        (Value::None, Some("V") | None) => FieldValue::Void,
        (Value::Bool(truth), Some("t") | None) => FieldValue::Bool(*truth),
        (Value::Int(number), Some("I") | None) => FieldValue::I32(i32::try_from(*number).expect("32 bits")),
        (Value::Int(number), Some("L" | "l")) => FieldValue::I64(*number),
        (Value::Int(number), Some("T")) => FieldValue::Timestamp(u64::try_from(*number).expect("positive")),
        (Value::Float(number), Some("d") | None) => FieldValue::F64(*number),
        (Value::Text(text), Some("S") | None) => FieldValue::LongString(text.as_wtf8().to_vec()),
        (Value::List(items), Some("A") | None) => {
            let kinds = kind.and_then(Value::as_list);
            let kind = |i: usize| kinds.map(|kinds| kinds.get(i + 1).expect("a type for each item"));
            FieldValue::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| field(item, kind(i)))
                    .collect(),
            )
        }
        (Value::Dict(dict), Some("F") | None) => {
            let kinds = kind
                .and_then(Value::as_dict)
                .and_then(|kinds| kinds.get("F"))
                .and_then(Value::as_dict);
            FieldValue::Table(table(dict, kinds))
        }
        other => panic!("{other:?}"),
    }
}
