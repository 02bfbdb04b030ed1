//! A task as a worker receives it.

use crate::dict::Dict;
use crate::field::{FieldTable, FieldValue};
use crate::iso_time::IsoTime;
use crate::signature::Embed;
use crate::value::Value;

/// How a message carries its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Everything in the body, which is an object (contract A.6).
    V1,
    /// Headers, and a body of args, kwargs and embed (contract A.3, A.4).
    V2,
    /// Headers, and a body that is an object with `args` (contract A.6).
    Hybrid,
}

/// A decoded task message. Headers of an unexpected type are taken as Python would show them: an `id` of 5 is `"5"`, a
/// null one `"None"`.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskMessage {
    /// The form it came in.
    pub protocol: Protocol,
    /// The registered name of the task.
    pub task: String,
    /// The task id, any text.
    pub id: String,
    /// The positional arguments: a list, unless the sender made a mistake. Text runs with its characters as arguments, in
    /// Python; null and numbers fail when the task is called.
    pub args: Value,
    /// The keyword arguments: a dict, unless the sender made a mistake.
    pub kwargs: Value,
    /// What to send afterwards.
    pub embed: Embed,
    /// A display name for logs, events and counters.
    pub shadow: Option<String>,
    /// Not before this time.
    pub eta: Option<IsoTime>,
    /// Not after this time.
    pub expires: Option<IsoTime>,
    /// The group id.
    pub group: Option<String>,
    /// The position in the group.
    pub group_index: Option<i64>,
    /// How often it was retried.
    pub retries: i64,
    /// Hard and soft time limit, seconds; 0 counts as none.
    pub timelimit: (Option<f64>, Option<f64>),
    /// The first task of the workflow.
    pub root_id: Option<String>,
    /// The task that sent this one.
    pub parent_id: Option<String>,
    /// The arguments to show; never parse them.
    pub argsrepr: String,
    /// The keyword arguments to show; never parse them.
    pub kwargsrepr: String,
    /// `gen<pid>@<host>` of the sender.
    pub origin: Option<String>,
    /// Whether the result may be thrown away; `None`: as the task is registered.
    pub ignore_result: Option<bool>,
    /// How often the task was replaced by another.
    pub replaced_task_nesting: i64,
    /// The names of the stamps.
    pub stamped_headers: Vec<String>,
    /// The values of the stamps.
    pub stamps: FieldTable,
    /// Where an answer is awaited.
    pub reply_to: Option<String>,
    /// The task id again, in most messages.
    pub correlation_id: Option<String>,
    /// The priority in the queue.
    pub priority: Option<u8>,
    /// Protocol 1's `utc`. Celery 5.7 reads a time without offset as UTC whatever it says.
    pub utc: bool,
    /// All headers as received.
    pub headers: FieldTable,
}

impl TaskMessage {
    /// The name to show: `shadow`, or the task's.
    pub fn name(&self) -> &str {
        self.shadow.as_deref().unwrap_or(&self.task)
    }

    /// The positional arguments, if they are a list.
    pub fn positional(&self) -> Option<&[Value]> {
        self.args.as_list()
    }

    /// The keyword arguments, if they are a dict.
    pub fn keywords(&self) -> Option<&Dict> {
        self.kwargs.as_dict()
    }

    /// The value of a stamp.
    pub fn stamp(&self, name: &str) -> Option<&FieldValue> {
        self.stamps.get(name)
    }
}
