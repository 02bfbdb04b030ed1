//! Compares messages with golden ones: values that differ from run to run are checked by rule.

use std::collections::{HashMap, HashSet};

use celery_protocol::{FieldTable, FieldValue, iso8601};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::sender;
use crate::canvas::Publication;

/// Returns the time at which everything is planned in these tests.
pub(super) fn now() -> Timestamp {
    "2026-11-22T11:12:22.105038Z".parse().expect("a time")
}

/// The ids in a received message, and the new ids on the expected side with their counterparts here.
pub(super) struct Ids {
    known: HashSet<String>,
    named: HashMap<String, String>,
    now: Timestamp,
}

impl Ids {
    /// Collects every text in the message as known.
    pub(super) fn known_from(message: &Json, now: Timestamp) -> Self {
        let mut known = HashSet::new();
        collect(message, &mut known);
        Self {
            known,
            named: HashMap::new(),
            now,
        }
    }

    /// Returns whether two ids correspond: new ids differ from all others, and are equal wherever the expected ones
    /// are.
    pub(super) fn same(&mut self, expected: &str, actual: &str) -> bool {
        if self.known.contains(expected) {
            return expected == actual;
        }
        if let Some(named) = self.named.get(expected) {
            return named == actual;
        }
        let is_new = !self.known.contains(actual) && !self.named.values().any(|named| named == actual);
        self.named.insert(expected.to_owned(), actual.to_owned());
        is_new && Uuid::parse_str(actual).is_ok_and(|id| id.get_version_num() == 4)
    }
}

fn collect(value: &Json, into: &mut HashSet<String>) {
    match value {
        Json::String(text) => {
            into.insert(text.clone());
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Json::Object(fields) => fields.values().for_each(|item| collect(item, into)),
        _ => {}
    }
}

/// Asserts that a message is the expected one. At the top level, only fields that both have are compared.
pub(super) fn same(expected: &Json, actual: &Json, ids: &mut Ids, name: &str) {
    for (key, actual) in actual.as_object().expect("an object") {
        if let Some(expected) = expected.get(key) {
            compare(expected, actual, ids, &format!("{name} {key}"));
        }
    }
}

pub(super) fn compare(expected: &Json, actual: &Json, ids: &mut Ids, path: &str) {
    match (expected, actual) {
        (Json::Object(expected), Json::Object(actual)) => {
            let keys = |fields: &Map<String, Json>| {
                let mut keys: Vec<String> = fields.keys().cloned().collect();
                keys.sort();
                keys
            };
            assert_eq!(keys(expected), keys(actual), "{path}");
            for (key, expected) in expected {
                compare(expected, &actual[key], ids, &format!("{path}.{key}"));
            }
        }
        (Json::Array(expected), Json::Array(actual)) => {
            assert_eq!(expected.len(), actual.len(), "{path}: {expected:?} {actual:?}");
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(expected, actual, ids, &format!("{path}[{index}]"));
            }
        }
        (Json::String(expected), Json::String(actual)) => {
            assert!(
                same_text(expected, actual, ids, path),
                "{path}: {expected} {actual}"
            );
        }
        (Json::Number(expected), Json::Number(actual)) => {
            assert_eq!(expected.as_f64(), actual.as_f64(), "{path}");
        }
        _ => assert_eq!(expected, actual, "{path}"),
    }
}

fn same_text(expected: &str, actual: &str, ids: &mut Ids, path: &str) -> bool {
    let field = path.rsplit('.').next().unwrap_or(path);
    let is_known = ids.known.contains(expected);
    match field {
        "reply_to" if !is_known => {
            (expected == "reply-to" || Uuid::parse_str(expected).is_ok()) && actual == sender().reply_to
        }
        // A retry keeps the origin of the first message.
        "origin" if expected == "origin" || (expected.starts_with("gen") && !path.contains("retry")) => {
            actual == sender().origin
        }
        // The time since the message was made, in seconds.
        "eta" | "expires" if expected.starts_with("now+") => {
            let seconds: f64 = expected["now+".len()..].parse().expect("a number");
            let at = iso8601::parse(actual).expect("a time").timestamp();
            (at.duration_since(ids.now).as_secs_f64() - seconds).abs() <= 0.5 && actual.ends_with("+00:00")
        }
        // The captured retry was due one second later.
        "eta" if path.starts_with("canvas-retry") => {
            let at = iso8601::parse(actual).expect("a time").timestamp();
            at.duration_since(ids.now).as_secs() == 1 && actual.len() == expected.len()
        }
        "expiration" => {
            let milliseconds = |text: &str| text.parse::<u64>().expect("a number");
            milliseconds(expected).abs_diff(milliseconds(actual)) <= 1000
        }
        _ if !is_known && (expected.starts_with("id-") || Uuid::parse_str(expected).is_ok()) => {
            ids.same(expected, actual)
        }
        _ => expected == actual,
    }
}

/// Returns a publication in the form of the golden files.
pub(super) fn shown(publication: &Publication) -> Json {
    let mut call = publication.call.clone();
    let compression = call.compression.take();
    let message = call.encode();
    let mut properties = Map::new();
    let mut set = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value);
        }
    };
    set("content_type", message.properties.content_type.map(Json::from));
    set(
        "content_encoding",
        message.properties.content_encoding.map(Json::from),
    );
    set("delivery_mode", message.properties.delivery_mode.map(Json::from));
    set("priority", message.properties.priority.map(Json::from));
    set(
        "correlation_id",
        message.properties.correlation_id.map(Json::from),
    );
    set("reply_to", message.properties.reply_to.map(Json::from));
    set("expiration", message.properties.expiration.map(Json::from));
    let body: Json = serde_json::from_slice(&message.body).expect("strict JSON");
    json!({
        "exchange": publication.destination.exchange,
        "routing_key": publication.destination.routing_key,
        "compression": compression.map(celery_protocol::Compression::header),
        "properties": properties,
        "headers": plain(&FieldValue::Table(message.properties.headers)),
        "body": body,
    })
}

/// Returns a table of headers as py-amqp would write these values.
pub(super) fn table(fields: &Json) -> FieldTable {
    let fields = fields.as_object().expect("an object").iter();
    fields.map(|(name, value)| (name.clone(), field(value))).collect()
}

fn field(value: &Json) -> FieldValue {
    match value {
        Json::Null => FieldValue::Void,
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().expect("a number").into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(field).collect::<Vec<_>>().into(),
        Json::Object(_) => table(value).into(),
    }
}

fn plain(value: &FieldValue) -> Json {
    match value {
        FieldValue::Void => Json::Null,
        FieldValue::Bool(truth) => json!(truth),
        FieldValue::F64(number) => json!(number),
        FieldValue::Array(items) => items.iter().map(plain).collect(),
        FieldValue::Table(table) => {
            let fields = table.iter().map(|(name, value)| (name.to_owned(), plain(value)));
            Json::Object(fields.collect())
        }
        other => match (other.as_str(), other.as_i64()) {
            (Some(text), _) => json!(text),
            (_, Some(number)) => json!(number),
            _ => panic!("{other:?}"),
        },
    }
}

/// Returns the letters of the types, as in the captures.
pub(super) fn types(headers: &FieldTable) -> Json {
    let fields = headers
        .iter()
        .map(|(name, value)| (name.to_owned(), letter(value)));
    Json::Object(fields.collect())
}

fn letter(value: &FieldValue) -> Json {
    match value {
        FieldValue::Void => json!("V"),
        FieldValue::Bool(_) => json!("t"),
        FieldValue::I32(_) => json!("I"),
        FieldValue::I64(_) => json!("L"),
        FieldValue::F64(_) => json!("d"),
        FieldValue::LongString(_) => json!("S"),
        FieldValue::Array(items) => {
            let letters = items.iter().map(letter);
            Json::Array(std::iter::once(json!("A")).chain(letters).collect())
        }
        FieldValue::Table(table) => json!({ "F": types(table) }),
        other => panic!("{other:?}"),
    }
}
