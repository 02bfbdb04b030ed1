//! Decoding in Celery's own order (`celery/worker/consumer/consumer.py: on_task_received`, contract E.2): the name comes
//! first, so that an unregistered task is refused before its body is read.

use crate::content::{self, NoContent};
use crate::decode_error::DecodeError;
use crate::dict::Dict;
use crate::field::{FieldTable, FieldValue};
use crate::iso8601::{self, IsoTime};
use crate::message::{Message, Properties};
use crate::python_datetime;
use crate::saferepr::{MAX_LEVELS, saferepr};
use crate::signature::Embed;
use crate::task_message::{Protocol, TaskMessage};
use crate::value::Value;

/// A message that names a task, of which nothing else is known yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    message: Message,
    task: Value,
    body: Body,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// Protocol 2: still encoded; `None` if the message's own body was not compressed.
    Encoded(Option<Vec<u8>>),
    /// Protocol 1: the name was found in it.
    Decoded(Dict),
}

impl Incoming {
    /// Finds the task's name: in the header `task`, else in the body.
    ///
    /// # Errors
    /// The body cannot be unpacked; or there is no such header, and the body cannot be decoded or names no task.
    pub fn identify(message: Message) -> Result<Incoming, DecodeError> {
        let unpacked = content::unpack(&message)?;
        let (task, body) = if let Some(task) = message.properties.headers.get("task") {
            let unpacked = match unpacked {
                content::Body::Plain(_) => None,
                content::Body::Unpacked(bytes) => Some(bytes),
            };
            (Value::from(task), Body::Encoded(unpacked))
        } else {
            let context = || content::context(&message.properties);
            match content::decode(&unpacked, &message.properties) {
                Ok(Value::Dict(dict)) => {
                    let task = dict.get("task").ok_or(DecodeError::NotATask)?.clone();
                    (task, Body::Decoded(dict))
                }
                Ok(_) => return Err(DecodeError::NotATask),
                Err(NoContent::Undecodable(exception)) => {
                    return Err(DecodeError::Undecodable {
                        exception,
                        context: context(),
                    });
                }
                Err(NoContent::Disallowed(refusal)) => {
                    return Err(DecodeError::DisallowedUnidentified {
                        refusal,
                        context: context(),
                    });
                }
            }
        };
        if let Value::List(_) | Value::Dict(_) = task {
            return Err(DecodeError::poison(format!(
                "the task name is of type {}",
                task.type_name()
            )));
        }
        Ok(Incoming { message, task, body })
    }

    /// The task's name; empty if it is no text, which no task can be registered as.
    pub fn task(&self) -> &str {
        self.task.as_str().unwrap_or_default()
    }

    /// The name as Python's log shows it: `'tasks.add'`, `None`, `5`.
    pub fn task_repr(&self) -> String {
        self.task.py_repr()
    }

    /// The task id, before anything is known to be right with it: for the `task-failed` event of an unregistered task.
    pub fn id(&self) -> Option<String> {
        match (&self.body, self.message.properties.headers.get("id")) {
            (_, Some(id)) => text(Value::from(id)),
            (Body::Decoded(dict), None) => text(dict.get("id")?.clone()),
            (Body::Encoded(_), None) => None,
        }
    }

    /// The message as it came.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Decodes the rest.
    ///
    /// # Errors
    /// See [`DecodeError`]; checked in Celery's order.
    pub fn decode(self) -> Result<TaskMessage, DecodeError> {
        let Incoming { message, task, body } = self;
        match body {
            Body::Decoded(dict) if dict.get("args").is_none() => protocol_1(message, &task, dict),
            Body::Decoded(dict) => hybrid(message, &task, dict, Protocol::V1),
            Body::Encoded(unpacked) => {
                let body = unpacked.map_or(content::Body::Plain(&message.body), content::Body::Unpacked);
                let value = match content::decode(&body, &message.properties) {
                    Ok(value) => value,
                    Err(NoContent::Disallowed(refusal)) => return Err(DecodeError::Disallowed { refusal }),
                    Err(NoContent::Undecodable(exception)) => {
                        let context = content::context(&message.properties);
                        return Err(DecodeError::Undecodable { exception, context });
                    }
                };
                match value {
                    Value::Dict(dict) if dict.get("args").is_some() => {
                        hybrid(message, &task, dict, Protocol::Hybrid)
                    }
                    value if contains_args(&value)? => Err(not_a_mapping()),
                    value => protocol_2(message, &task, value),
                }
            }
        }
    }
}

fn not_a_mapping() -> DecodeError {
    DecodeError::invalid("Task keyword arguments must be a mapping")
}

/// Python's `'args' in body`, by which Celery finds the hybrid form.
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

/// What Celery takes from an object that holds `args` (`celery/worker/strategy.py: hybrid_to_proto2`).
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

/// What is read before the body is taken apart.
struct Head {
    task: String,
    id: String,
    eta: Option<IsoTime>,
    expires: Option<IsoTime>,
}

struct Parts {
    protocol: Protocol,
    args: Value,
    kwargs: Value,
    embed: Embed,
    utc: bool,
}

impl Head {
    fn read(task: &Value, fields: &dyn Fn(&str) -> Option<Value>) -> Result<Head, DecodeError> {
        let id = fields("id").ok_or_else(|| DecodeError::poison("there is no task id"))?;
        Ok(Head {
            task: task.py_str(),
            id: id.py_str(),
            eta: time("ETA", fields("eta"))?.map(representable).transpose()?,
            expires: time("expires", fields("expires"))?,
        })
    }

    /// All but the properties.
    fn finish(
        self,
        fields: &dyn Fn(&str) -> Option<Value>,
        parts: Parts,
    ) -> Result<TaskMessage, DecodeError> {
        let get = |name: &str| fields(name).and_then(text);
        let shown = |name: &str, value: &Value| match (fields(name), parts.protocol) {
            (Some(Value::None) | None, Protocol::V1) => saferepr(value, None, MAX_LEVELS).to_string(),
            (shown, _) => shown.and_then(text).unwrap_or_default(),
        };
        let (argsrepr, kwargsrepr) = (shown("argsrepr", &parts.args), shown("kwargsrepr", &parts.kwargs));
        Ok(TaskMessage {
            protocol: parts.protocol,
            task: self.task,
            id: self.id,
            shadow: get("shadow").filter(|shadow| !shadow.is_empty()),
            eta: self.eta,
            expires: self.expires,
            group: get("group"),
            group_index: fields("group_index").and_then(|value| value.as_i64()),
            retries: fields("retries").map_or(0, |value| number(&value)),
            timelimit: time_limits(fields("timelimit"))?,
            root_id: get("root_id"),
            parent_id: get("parent_id"),
            argsrepr,
            kwargsrepr,
            origin: get("origin"),
            ignore_result: fields("ignore_result")
                .filter(|value| !value.is_none())
                .map(|value| value.is_truthy()),
            replaced_task_nesting: fields("replaced_task_nesting").map_or(0, |value| number(&value)),
            stamped_headers: match fields("stamped_headers") {
                Some(Value::List(names)) => names.into_iter().filter_map(text).collect(),
                _ => Vec::new(),
            },
            stamps: FieldTable::new(),
            reply_to: None,
            correlation_id: None,
            priority: None,
            utc: parts.utc,
            headers: FieldTable::new(),
            args: parts.args,
            kwargs: parts.kwargs,
            embed: parts.embed,
        })
    }
}

fn with_properties(task: TaskMessage, properties: Properties) -> TaskMessage {
    TaskMessage {
        stamps: match properties.headers.get("stamps") {
            Some(FieldValue::Table(stamps)) => stamps.clone(),
            _ => FieldTable::new(),
        },
        reply_to: properties.reply_to,
        correlation_id: properties.correlation_id,
        priority: properties.priority,
        headers: properties.headers,
        ..task
    }
}

/// Text, or what Python would show for a value of another type; nothing for null.
fn text(value: Value) -> Option<String> {
    match value {
        Value::None => None,
        other => Some(other.py_str()),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Bool(truth) => i64::from(*truth),
        Value::Text(_) => value.py_str().trim().parse().unwrap_or(0),
        _ => 0,
    }
}

/// A time header. An empty one stops a Python worker: Celery takes it for no time and then asks for its time zone.
fn time(what: &str, value: Option<Value>) -> Result<Option<IsoTime>, DecodeError> {
    let Some(value) = value else { return Ok(None) };
    let refused =
        |why: &str| DecodeError::invalid(format!("invalid {what} value {}: {why}", value.py_repr()));
    match &value {
        Value::None => Ok(None),
        empty if !empty.is_truthy() => Err(DecodeError::poison(format!(
            "the {what} must be null or a time, but is {}",
            value.py_repr()
        ))),
        Value::Text(text) => match iso8601::parse(&text.to_string_lossy()) {
            Ok(time) => Ok(Some(time)),
            Err(error) => Err(refused(&error.to_string())),
        },
        Value::List(_) | Value::Dict(_) => Err(refused("ISO string too short")),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| iso8601::parse(text).ok())
        {
            Some(time) => Ok(Some(time)),
            None => Err(refused("no time")),
        },
        Value::DateTime(text) => python_datetime::datetime(text)
            .map(Some)
            .map_err(|_| refused("no time")),
        _ => Err(refused(&format!(
            "object of type '{}' has no len()",
            value.type_name()
        ))),
    }
}

/// An ETA must lie in the years 1 to 9999 of UTC too (`celery/worker/strategy.py` rejects the task otherwise).
fn representable(eta: IsoTime) -> Result<IsoTime, DecodeError> {
    if eta.is_in_range() {
        return Ok(eta);
    }
    Err(DecodeError::invalid(format!(
        "invalid ETA value '{eta}': date value out of range"
    )))
}

/// A pair, each part null or a number of seconds; 0 is none.
fn time_limits(value: Option<Value>) -> Result<(Option<f64>, Option<f64>), DecodeError> {
    let value = value.unwrap_or(Value::None);
    if !value.is_truthy() {
        return Ok((None, None));
    }
    let refused = || {
        DecodeError::poison(format!(
            "the time limits must be a pair of numbers, but are {}",
            value.py_repr()
        ))
    };
    let seconds = |limit: &Value| match limit {
        Value::None => Ok(None),
        #[expect(clippy::cast_precision_loss, reason = "no limit is longer than 2^53 seconds")]
        Value::Int(number) => Ok(Some(*number as f64)),
        Value::Float(number) => Ok(Some(*number)),
        Value::Bool(truth) => Ok(Some(f64::from(u8::from(*truth)))),
        _ => Err(refused()),
    };
    let nonzero = |limit: Option<f64>| limit.filter(|seconds| *seconds != 0.0);
    match value.as_list() {
        Some([hard, soft]) => Ok((nonzero(seconds(hard)?), nonzero(seconds(soft)?))),
        _ => Err(refused()),
    }
}
