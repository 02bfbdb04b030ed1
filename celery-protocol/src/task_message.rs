//! A task as a worker receives it.

use crate::dict::Dict;
use crate::field::{FieldTable, FieldValue};
use crate::iso_time::IsoTime;
use crate::signature::Embed;
use crate::value::Value;

/// The form in which a message represents its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Everything in the body, which is an object (contract A.6).
    V1,
    /// Headers, and a body of args, kwargs and embed (contract A.3, A.4).
    V2,
    /// Headers, and a body that is an object with `args` (contract A.6).
    Hybrid,
}

/// A decoded task message. Headers of an unexpected type are converted as Python would show them: an `id` of 5 is
/// `"5"`, a null one `"None"`.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskMessage {
    /// The form of the message.
    pub protocol: Protocol,
    /// The registered name of the task.
    pub task: String,
    /// The task id, which can be any text.
    pub id: String,
    /// The positional arguments: a list, unless the sender made a mistake. In Python, a string runs with its characters
    /// as arguments; null and numbers fail when the task is called.
    pub args: Value,
    /// The keyword arguments: a dict, unless the sender made a mistake.
    pub kwargs: Value,
    /// The tasks to send afterwards.
    pub embed: Embed,
    /// A display name for logs, events and counters.
    pub shadow: Option<String>,
    /// The time before which the task must not run.
    pub eta: Option<IsoTime>,
    /// The time after which the task must not run.
    pub expires: Option<IsoTime>,
    /// The group id.
    pub group: Option<String>,
    /// The position in the group.
    pub group_index: Option<i64>,
    /// The number of retries so far.
    pub retries: i64,
    /// Hard and soft time limit, in seconds; 0 means no limit.
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
    /// Whether the result may be discarded; `None` means that the task's registration decides.
    pub ignore_result: Option<bool>,
    /// The number of times the task was replaced by another.
    pub replaced_task_nesting: i64,
    /// The names of the stamps.
    pub stamped_headers: Vec<String>,
    /// The values of the stamps.
    pub stamps: FieldTable,
    /// The queue in which an answer is awaited.
    pub reply_to: Option<String>,
    /// The task id again in most messages.
    pub correlation_id: Option<String>,
    /// The priority in the queue.
    pub priority: Option<u8>,
    /// Protocol 1's `utc`. Celery 5.7 reads a time without an offset as UTC, whatever its value.
    pub utc: bool,
    /// All headers as received.
    pub headers: FieldTable,
}

impl TaskMessage {
    /// Returns the name to show: `shadow`, or the task's name.
    pub fn name(&self) -> &str {
        self.shadow.as_deref().unwrap_or(&self.task)
    }

    /// Returns the positional arguments, if they are a list.
    pub fn positional(&self) -> Option<&[Value]> {
        self.args.as_list()
    }

    /// Returns the keyword arguments, if they are a dict.
    pub fn keywords(&self) -> Option<&Dict> {
        self.kwargs.as_dict()
    }

    /// Returns the value of a stamp.
    pub fn stamp(&self, name: &str) -> Option<&FieldValue> {
        self.stamps.get(name)
    }
}
