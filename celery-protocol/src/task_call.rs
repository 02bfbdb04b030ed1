//! The call that a producer sends.

use jiff::{SignedDuration, Timestamp};

use crate::compression::Compression;
use crate::dict::Dict;
use crate::field::{FieldTable, FieldValue};
use crate::iso_time::IsoTime;
use crate::json;
use crate::message::{Message, Properties};
use crate::saferepr;
use crate::signature::Embed;
use crate::text::Text;
use crate::value::Value;

/// The values that a process writes into every message it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// `gen<pid>@<host>`
    pub origin: String,
    /// A UUID as text; Python's is constant for each calling thread (contract A.2).
    pub reply_to: String,
}

/// A task to be sent: every header of contract A.3. [`TaskCall::new`] gives the values of a plain `delay()`.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskCall {
    /// The registered name of the task.
    pub task: String,
    /// The task id; also the correlation id.
    pub id: String,
    /// The positional arguments.
    pub args: Vec<Value>,
    /// The keyword arguments.
    pub kwargs: Dict,
    /// The tasks to send afterwards.
    pub embed: Embed,
    /// A display name.
    pub shadow: Option<String>,
    /// The time before which the task must not run, as `isoformat()` writes it; see [`TaskCall::with_countdown`].
    pub eta: Option<String>,
    /// The time after which the task must not run, as `isoformat()` writes it; see [`TaskCall::with_expires_in`].
    pub expires: Option<String>,
    /// The maximum time of the message in the queue, in milliseconds.
    pub expiration: Option<u64>,
    /// The group id.
    pub group: Option<String>,
    /// The position in the group.
    pub group_index: Option<i64>,
    /// The number of retries so far.
    pub retries: i64,
    /// Hard and soft time limit, in seconds; whole numbers are sent as integers.
    pub timelimit: (Option<f64>, Option<f64>),
    /// The first task of the workflow; `None` means this one.
    pub root_id: Option<String>,
    /// The task that sends this one.
    pub parent_id: Option<String>,
    /// The text to show for the arguments; `None` means their short `repr()` as a tuple.
    pub argsrepr: Option<Text>,
    /// The text to show for the keyword arguments; `None` means their short `repr()`.
    pub kwargsrepr: Option<Text>,
    /// `gen<pid>@<host>`
    pub origin: String,
    /// Whether the result may be discarded. Python sends `None` for a task called by name.
    pub ignore_result: Option<bool>,
    /// The number of times the task was replaced by another.
    pub replaced_task_nesting: i64,
    /// The names of the stamps.
    pub stamped_headers: Option<Vec<String>>,
    /// The values of the stamps.
    pub stamps: FieldTable,
    /// The queue in which an answer is awaited.
    pub reply_to: String,
    /// The priority in the queue: 0 by default; `None` is left out of the message.
    pub priority: Option<u8>,
    /// 2 survives a restart of the broker, 1 does not.
    pub delivery_mode: u8,
    /// The caller's own headers. They are merged last and overwrite those of the protocol.
    pub headers: FieldTable,
    /// The compression of the body.
    pub compression: Option<Compression>,
}

impl TaskCall {
    /// Creates a call without arguments, as `send_task(name, task_id=id)` does.
    pub fn new(task: &str, id: impl Into<String>, sender: &Sender) -> TaskCall {
        TaskCall {
            task: task.to_owned(),
            id: id.into(),
            args: Vec::new(),
            kwargs: Dict::new(),
            embed: Embed::default(),
            shadow: None,
            eta: None,
            expires: None,
            expiration: None,
            group: None,
            group_index: None,
            retries: 0,
            timelimit: (None, None),
            root_id: None,
            parent_id: None,
            argsrepr: None,
            kwargsrepr: None,
            origin: sender.origin.clone(),
            ignore_result: None,
            replaced_task_nesting: 0,
            stamped_headers: None,
            stamps: FieldTable::new(),
            reply_to: sender.reply_to.clone(),
            priority: Some(0),
            delivery_mode: 2,
            headers: FieldTable::new(),
            compression: None,
        }
    }

    /// Sets the positional arguments.
    #[must_use]
    pub fn with_args(mut self, args: Vec<Value>) -> TaskCall {
        self.args = args;
        self
    }

    /// Sets the keyword arguments.
    #[must_use]
    pub fn with_kwargs(mut self, kwargs: Dict) -> TaskCall {
        self.kwargs = kwargs;
        self
    }

    /// Delays the task by this many seconds from now (`countdown`); 0 sets nothing, as in Python.
    #[must_use]
    pub fn with_countdown(mut self, seconds: f64, now: Timestamp) -> TaskCall {
        if seconds != 0.0 {
            self.eta = Some(IsoTime::from(later(now, seconds)).isoformat());
        }
        self
    }

    /// Lets the task expire this many seconds from now (`expires=60`): sets header and expiration.
    #[must_use]
    pub fn with_expires_in(mut self, seconds: f64, now: Timestamp) -> TaskCall {
        self.expires = Some(IsoTime::from(later(now, seconds)).isoformat());
        self.expiration = Some(milliseconds(seconds));
        self
    }

    /// Lets the task expire at this time (`expires=<datetime>`): sets header and expiration.
    #[must_use]
    pub fn with_expires_at(mut self, at: IsoTime, now: Timestamp) -> TaskCall {
        let now = IsoTime::from(now).timestamp();
        self.expires = Some(at.isoformat());
        self.expiration = Some(milliseconds(at.timestamp().duration_since(now).as_secs_f64()));
        self
    }

    /// Encodes the message as Celery's `as_task_v2` and kombu's publisher do.
    pub fn encode(&self) -> Message {
        let mut headers = self.protocol_headers();
        for (name, value) in self.headers.iter() {
            headers.insert(name, value.clone());
        }
        let mut body = self.body().into_bytes();
        if let Some(compression) = self.compression
            && let Ok(packed) = compression.compress(&body)
        {
            headers.insert("compression", compression.header());
            body = packed;
        }
        let properties = Properties {
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
            headers,
            delivery_mode: Some(self.delivery_mode),
            priority: self.priority,
            correlation_id: Some(self.id.clone()),
            reply_to: Some(self.reply_to.clone()),
            expiration: self.expiration.map(|milliseconds| milliseconds.to_string()),
            ..Properties::default()
        };
        Message { properties, body }
    }

    fn protocol_headers(&self) -> FieldTable {
        let argsrepr = self
            .argsrepr
            .clone()
            .unwrap_or_else(|| saferepr::of_arguments(&self.args));
        let kwargsrepr = self
            .kwargsrepr
            .clone()
            .unwrap_or_else(|| saferepr::of_keywords(&self.kwargs));
        let stamped_headers = self.stamped_headers.as_ref();
        let (hard, soft) = self.timelimit;
        let mut headers = FieldTable::new();
        headers.push("lang", "py");
        headers.push("task", self.task.as_str());
        headers.push("id", self.id.as_str());
        headers.push("shadow", self.shadow.as_deref());
        headers.push("eta", self.eta.as_deref());
        headers.push("expires", self.expires.as_deref());
        headers.push("group", self.group.as_deref());
        headers.push("group_index", self.group_index);
        headers.push("retries", self.retries);
        headers.push("timelimit", vec![seconds(hard), seconds(soft)]);
        headers.push("root_id", self.root_id.as_deref().unwrap_or(&self.id));
        headers.push("parent_id", self.parent_id.as_deref());
        headers.push("argsrepr", FieldValue::LongString(argsrepr.into_wtf8()));
        headers.push("kwargsrepr", FieldValue::LongString(kwargsrepr.into_wtf8()));
        headers.push("origin", self.origin.as_str());
        headers.push("ignore_result", self.ignore_result);
        headers.push("replaced_task_nesting", self.replaced_task_nesting);
        headers.push(
            "stamped_headers",
            stamped_headers.map(|names| {
                names
                    .iter()
                    .map(|name| name.as_str().into())
                    .collect::<Vec<FieldValue>>()
            }),
        );
        headers.push("stamps", self.stamps.clone());
        headers
    }

    fn body(&self) -> String {
        let mut body = String::with_capacity(256);
        body.push('[');
        json::write_list(&self.args, &mut body);
        body.push_str(", ");
        json::write_dict(&self.kwargs, &mut body);
        body.push_str(", ");
        self.embed.write_json(&mut body);
        body.push(']');
        body
    }
}

fn seconds(limit: Option<f64>) -> FieldValue {
    match limit {
        None => FieldValue::Void,
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        Some(seconds) if seconds.fract() == 0.0 && seconds.abs() < 9e15 => FieldValue::from(seconds as i64),
        Some(seconds) => FieldValue::F64(seconds),
    }
}

/// Python's `now + timedelta(seconds=seconds)`.
fn later(now: Timestamp, seconds: f64) -> Timestamp {
    let now = IsoTime::from(now).timestamp();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and the sum is checked"
    )]
    let microseconds = (seconds * 1e6).round_ties_even() as i64;
    now.checked_add(SignedDuration::from_micros(microseconds))
        .unwrap_or(Timestamp::MAX)
}

/// kombu's `int(expiration * 1000)`; a time in the past gives 0.
fn milliseconds(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates at 0 and at the top"
    )]
    let milliseconds = (seconds * 1000.0) as u64;
    milliseconds
}
