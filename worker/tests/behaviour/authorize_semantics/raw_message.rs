//! Messages whose body was recorded as it was in the queue.

use celery_protocol::{Dict, FieldTable, FieldValue, Incoming, Message, Properties, Value};

/// Returns the arguments of such a message, if it is a task message at all.
pub(super) fn arguments(case: &str, shown_body: &str) -> Option<(Value, Dict)> {
    let incoming = Incoming::identify(message(case, shown_body)).ok()?;
    let message = incoming.decode().ok()?;
    let kwargs = message.keywords()?.clone();
    Some((message.args, kwargs))
}

fn message(case: &str, shown_body: &str) -> Message {
    let mut headers = FieldTable::default();
    let text = |text: &str| FieldValue::LongString(text.as_bytes().to_vec());
    if !matches!(case, "hdr-no-task" | "raw-protocol-1") {
        headers.insert("task", text("authorization_worker.tasks.authorize"));
    }
    match case {
        "hdr-no-id" => {}
        "hdr-id-null" => headers.insert("id", FieldValue::Void),
        _ => headers.insert("id", text("a29db6a0-4864-4f43-a7de-78f5cf410453")),
    }
    match case {
        "hdr-expires-bad" => headers.insert("expires", text("garbage")),
        "hdr-eta-bad" => headers.insert("eta", text("garbage")),
        "hdr-timelimit" => headers.insert("timelimit", FieldValue::Array(vec![FieldValue::I64(1); 2])),
        "hdr-retries" => headers.insert("retries", FieldValue::I64(5)),
        "raw-zlib" => headers.insert("compression", text("application/x-gzip")),
        _ => {}
    }
    let content_type = match case {
        "raw-no-content-type" => None,
        "raw-content-type-text" => Some("text/plain"),
        "raw-pickle" => Some("application/x-python-serialize"),
        "raw-yaml" => Some("application/x-yaml"),
        _ => Some("application/json"),
    };
    let content_encoding = match case {
        "raw-latin1-encoding" => "latin-1",
        "raw-binary-encoding" | "raw-zlib" => "binary",
        _ => "utf-8",
    };
    Message {
        properties: Properties {
            content_type: content_type.map(ToOwned::to_owned),
            content_encoding: Some(content_encoding.to_owned()),
            headers,
            ..Properties::default()
        },
        // The file contains only 300 characters of a body; this is the only longer one.
        body: bytes(&if case == "raw-protocol-1" {
            format!("{shown_body}true}}")
        } else {
            shown_body.to_owned()
        }),
    }
}

/// Returns the bytes of a body, which the file contains as text, with `\xNN` for bytes that are not text.
fn bytes(shown: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = shown;
    while let Some(at) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        bytes.push(u8::from_str_radix(&rest[at + 2..at + 4], 16).unwrap());
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
