//! The three forms of a task in a body (`celery/worker/strategy.py`, contract A.4 and A.6).

use crate::decode_error::DecodeError;
use crate::dict::Dict;
use crate::message::Message;
use crate::signature::Embed;
use crate::task_fields::{Head, Parts, with_properties};
use crate::task_message::{Protocol, TaskMessage};
use crate::value::Value;

/// Decodes protocol 2 or the hybrid form: there is a header `task`.
pub(crate) fn named_in_header(
    message: Message,
    task: &Value,
    body: Value,
) -> Result<TaskMessage, DecodeError> {
    match body {
        Value::Dict(dict) if dict.get("args").is_some() => hybrid(message, task, dict, Protocol::Hybrid),
        body if contains_args(&body)? => Err(not_a_mapping()),
        body => protocol_2(message, task, body),
    }
}

/// Decodes protocol 1: the name was found in the body.
pub(crate) fn named_in_body(message: Message, task: &Value, body: Dict) -> Result<TaskMessage, DecodeError> {
    match body.get("args") {
        Some(_) => hybrid(message, task, body, Protocol::V1),
        None => protocol_1(message, task, body),
    }
}

fn not_a_mapping() -> DecodeError {
    DecodeError::invalid("Task keyword arguments must be a mapping")
}

/// Python's `'args' in body`, with which Celery detects the hybrid form.
fn contains_args(body: &Value) -> Result<bool, DecodeError> {
    match body {
        Value::Text(text) => Ok(text.as_wtf8().windows(4).any(|part| part == b"args")),
        Value::List(items) => Ok(items.iter().any(|item| item.as_str() == Some("args"))),
        Value::Dict(_) => Ok(false),
        _ => Err(not_three(body)),
    }
}

fn not_three(body: &Value) -> DecodeError {
    let found = match body {
        Value::Bytes(bytes) if bytes.is_empty() => "empty".to_owned(),
        Value::List(items) => format!("a list of {}", items.len()),
        other => format!("of type {}", other.type_name()),
    };
    DecodeError::poison(format!(
        "the body must be a list of args, kwargs and embed, but is {found}"
    ))
}

fn protocol_2(message: Message, task: &Value, body: Value) -> Result<TaskMessage, DecodeError> {
    let headers = &message.properties.headers;
    let fields = |name: &str| headers.get(name).map(Value::from);
    let head = Head::read(task, &fields)?;
    let Value::List(items) = body else {
        return Err(not_three(&body));
    };
    let [args, kwargs, embed] =
        <[Value; 3]>::try_from(items).map_err(|items| not_three(&Value::List(items)))?;
    let embed = Embed::from_value(embed).ok_or_else(bad_embed)?;
    let parts = Parts {
        protocol: Protocol::V2,
        args,
        kwargs,
        embed,
        utc: true,
    };
    let task = head.finish(&fields, parts)?;
    Ok(with_properties(task, message.properties))
}

fn bad_embed() -> DecodeError {
    DecodeError::invalid("callbacks, errbacks, chain and chord must be null or signatures")
}

fn hybrid(
    message: Message,
    task: &Value,
    mut body: Dict,
    protocol: Protocol,
) -> Result<TaskMessage, DecodeError> {
    let args = body.remove("args").unwrap_or_else(|| Value::List(Vec::new()));
    let kwargs = body.remove("kwargs").unwrap_or_else(|| Value::Dict(Dict::new()));
    if kwargs.as_dict().is_none() {
        return Err(not_a_mapping());
    }
    let embed = embed_of(&mut body)?;
    let utc = body.get("utc").is_none_or(Value::is_truthy);
    body.insert("id", body.get("id").cloned().unwrap_or(Value::None));
    let headers = &message.properties.headers;
    let fields = |name: &str| match headers.get(name) {
        Some(value) => Some(Value::from(value)),
        None if OF_THE_BODY.contains(&name) => body.get(name).cloned(),
        None => None,
    };
    let head = Head::read(task, &fields)?;
    let task = head.finish(
        &fields,
        Parts {
            protocol,
            args,
            kwargs,
            embed,
            utc,
        },
    )?;
    Ok(with_properties(task, message.properties))
}

/// The fields that Celery takes from an object with `args` (`celery/worker/strategy.py: hybrid_to_proto2`).
const OF_THE_BODY: [&str; 12] = [
    "id",
    "root_id",
    "parent_id",
    "group",
    "shadow",
    "eta",
    "expires",
    "retries",
    "timelimit",
    "argsrepr",
    "kwargsrepr",
    "origin",
];

fn protocol_1(message: Message, task: &Value, mut body: Dict) -> Result<TaskMessage, DecodeError> {
    let args = Value::Tuple(Vec::new());
    let kwargs = body.remove("kwargs").unwrap_or_else(|| Value::Dict(Dict::new()));
    if kwargs.as_dict().is_none() {
        return Err(not_a_mapping());
    }
    let embed = embed_of(&mut body)?;
    let utc = body.get("utc").is_none_or(Value::is_truthy);
    if let Some(taskset) = body.remove("taskset") {
        body.insert("group", taskset);
    }
    let fields = |name: &str| match name {
        "argsrepr" | "kwargsrepr" => None,
        _ => body.get(name).cloned(),
    };
    let head = Head::read(task, &fields)?;
    let parts = Parts {
        protocol: Protocol::V1,
        args,
        kwargs,
        embed,
        utc,
    };
    let task = head.finish(&fields, parts)?;
    Ok(with_properties(task, message.properties))
}

fn embed_of(body: &mut Dict) -> Result<Embed, DecodeError> {
    let parts =
        ["callbacks", "errbacks", "chord"].map(|name| (name, body.remove(name).unwrap_or(Value::None)));
    Embed::from_value(Value::Dict(Dict::from_iter(parts))).ok_or_else(bad_embed)
}
