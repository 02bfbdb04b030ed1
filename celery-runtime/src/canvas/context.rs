//! The context of the messages that follow a task.

use celery_protocol::{Dict, Sender, TaskMessage};
use jiff::Timestamp;

use crate::amqp::destination::Routes;
use crate::task::registry::Registry;

/// The inputs for the messages that follow a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Canvas<'a> {
    /// The message of the task that they follow.
    pub(crate) parent: &'a TaskMessage,
    pub(crate) sender: &'a Sender,
    /// The registered tasks; their options go into the messages.
    pub(crate) tasks: &'a Registry,
    pub(crate) routes: &'a Routes,
    pub(crate) now: Timestamp,
}

impl Canvas<'_> {
    /// Returns the ids of the parent and the root of the messages.
    pub(super) fn lineage(&self) -> Dict {
        Dict::from_iter([
            ("parent_id", self.parent.id.as_str()),
            ("root_id", self.root_id()),
        ])
    }

    pub(super) fn root_id(&self) -> &str {
        let root = self.parent.root_id.as_deref().filter(|root| !root.is_empty());
        root.unwrap_or(&self.parent.id)
    }
}
