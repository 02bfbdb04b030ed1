//! What the messages that follow a task depend on.

use celery_protocol::{Dict, Sender, TaskMessage};
use jiff::Timestamp;

use crate::amqp::destination::Routes;
use crate::task::registry::Registry;

/// What the messages depend on besides the one that they follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Canvas<'a> {
    /// The task that they follow.
    pub(crate) parent: &'a TaskMessage,
    pub(crate) sender: &'a Sender,
    /// The tasks that are known here; their options go into the messages.
    pub(crate) tasks: &'a Registry,
    pub(crate) routes: &'a Routes,
    pub(crate) now: Timestamp,
}

impl Canvas<'_> {
    /// Where the messages come from.
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
