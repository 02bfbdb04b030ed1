//! The messages themselves, compared with those that the Python service sent.

use celery_protocol::{FieldValue, Message};
use harness::recorded::text;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::recorder::Running;
use crate::requests::complete;

/// The prefix of a row with a message; the name of its request follows.
pub(crate) const RECORDED: &str = "enqueued-message:";

/// Returns a recorded message and ours for the same request; parts that may differ are masked.
pub(crate) async fn compared(service: &Running, rows: &[Json], row: &Json) -> (String, String) {
    let of_request = text(row, "case").trim_start_matches(RECORDED);
    let request = rows.iter().find(|row| row["case"] == of_request).unwrap();
    service
        .send(&complete(of_request, text(request, "request")))
        .await;
    let [message] = service.queue.take().try_into().unwrap();
    (
        masked(row.clone()).to_string(),
        masked(shown(&message)).to_string(),
    )
}

/// Returns a message in the columns of the recording.
fn shown(message: &Message) -> Json {
    let properties = &message.properties;
    let headers = properties
        .headers
        .iter()
        .map(|(name, value)| (name.to_owned(), field(value)));
    serde_json::json!({
        "body": std::str::from_utf8(&message.body).unwrap(),
        "content_type": properties.content_type,
        "content_encoding": properties.content_encoding,
        "delivery_mode": properties.delivery_mode,
        "priority": properties.priority,
        "correlation_id": properties.correlation_id,
        "reply_to": properties.reply_to,
        "headers": headers.collect::<Map<String, Json>>(),
    })
}

fn field(value: &FieldValue) -> Json {
    match value {
        FieldValue::Void => Json::Null,
        FieldValue::Bool(value) => (*value).into(),
        FieldValue::I8(value) => (*value).into(),
        FieldValue::U8(value) => (*value).into(),
        FieldValue::I16(value) => (*value).into(),
        FieldValue::I32(value) => (*value).into(),
        FieldValue::I64(value) => (*value).into(),
        FieldValue::LongString(text) => std::str::from_utf8(text).unwrap().into(),
        FieldValue::Array(items) => items.iter().map(field).collect(),
        FieldValue::Table(table) if table.iter().next().is_none() => Json::Object(Map::new()),
        other => panic!("not in any recorded message: {other:?}"),
    }
}

/// Checks the values that differ from run to run, and masks them. Removes the destination, which the producer sets.
fn masked(mut message: Json) -> Json {
    let columns = message.as_object_mut().unwrap();
    for of_the_producer in ["case", "exchange", "routing_key"] {
        columns.remove(of_the_producer);
    }
    let id = columns["correlation_id"].as_str().unwrap().to_owned();
    assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 4);
    assert_eq!(columns["headers"]["id"], id.as_str());
    assert_eq!(columns["headers"]["root_id"], id.as_str());
    let reply_to = columns["reply_to"].as_str().unwrap().to_owned();
    assert_eq!(Uuid::parse_str(&reply_to).unwrap().get_version_num(), 3);
    let origin = columns["headers"]["origin"].as_str().unwrap().to_owned();
    let (process, host) = origin.strip_prefix("gen").unwrap().split_once('@').unwrap();
    assert!(process.parse::<u32>().is_ok() && !host.is_empty(), "{origin}");
    let body = columns["body"].as_str().unwrap();
    let (args, _) = body.split_once("], {}, ").unwrap();
    let expiry = args.rsplit_once(", ").unwrap().1.to_owned();
    assert!(expiry.len() == 19 && expiry.parse::<u64>().is_ok(), "{expiry}");
    columns["headers"]["origin"] = "gen<pid>@<host>".into();
    let masked = message
        .to_string()
        .replace(&id, "<id>")
        .replace(&reply_to, "<reply_to>");
    serde_json::from_str(&masked.replace(&expiry, "<expiry>")).unwrap()
}
