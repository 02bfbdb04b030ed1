//! The fields of a task, in headers or as keys of the body.

use crate::decode_error::DecodeError;
use crate::field::{FieldTable, FieldValue};
use crate::iso_time::IsoTime;
use crate::iso8601;
use crate::message::Properties;
use crate::python_datetime;
use crate::saferepr::{MAX_LEVELS, saferepr};
use crate::signature::Embed;
use crate::task_message::{Protocol, TaskMessage};
use crate::value::Value;

/// The fields that are read before the rest of the body.
pub(crate) struct Head {
    task: String,
    id: String,
    eta: Option<IsoTime>,
    expires: Option<IsoTime>,
}

pub(crate) struct Parts {
    pub(crate) protocol: Protocol,
    pub(crate) args: Value,
    pub(crate) kwargs: Value,
    pub(crate) embed: Embed,
    pub(crate) utc: bool,
}

impl Head {
    pub(crate) fn read(task: &Value, fields: &dyn Fn(&str) -> Option<Value>) -> Result<Head, DecodeError> {
        let id = fields("id").ok_or_else(|| DecodeError::poison("there is no task id"))?;
        if let Value::List(_) | Value::Dict(_) = id {
            return Err(DecodeError::poison(format!(
                "the task id is of type {}",
                id.type_name()
            )));
        }
        Ok(Head {
            task: task.py_str(),
            id: id.py_str(),
            eta: time("ETA", fields("eta"))?.map(representable).transpose()?,
            expires: time("expires", fields("expires"))?,
        })
    }

    /// Reads everything but the properties.
    pub(crate) fn finish(
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
            shadow: fields("shadow").filter(Value::is_truthy).and_then(text),
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

pub(crate) fn with_properties(task: TaskMessage, properties: Properties) -> TaskMessage {
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

/// Returns text, or Python's `str()` of a value of another type; `None` for null.
pub(crate) fn text(value: Value) -> Option<String> {
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

/// Reads a time header. An empty one stops a Python worker: Celery treats it as no time and then asks for its time
/// zone.
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
            None => Err(refused("not a time")),
        },
        Value::DateTime(text) => python_datetime::datetime(text)
            .map(Some)
            .map_err(|_| refused("not a time")),
        _ => Err(refused(&format!(
            "object of type '{}' has no len()",
            value.type_name()
        ))),
    }
}

/// Checks that an ETA is in the years 1 to 9999 in UTC too (`celery/worker/strategy.py` rejects the task otherwise).
fn representable(eta: IsoTime) -> Result<IsoTime, DecodeError> {
    if eta.is_in_range() {
        return Ok(eta);
    }
    Err(DecodeError::invalid(format!(
        "invalid ETA value '{eta}': date value out of range"
    )))
}

/// Reads a pair, each part null or a number of seconds; 0 means no limit.
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
