//! The messages to send, as a value.

use celery_protocol::TaskCall;
use uuid::Uuid;

use crate::amqp::destination::Destination;
use crate::result_backend::Child;

/// The steps to take, in order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// The entries that `AsyncResult.children` of the task will show.
    pub(crate) children: Vec<Child>,
}

/// One step of a plan.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Send a message.
    Publish(Box<Publication>),
    /// Store the number of ends of a chord's group in the result backend.
    ChordSize { group: String, size: usize },
}

/// A message and its destination.
#[derive(Debug, PartialEq)]
pub(crate) struct Publication {
    pub(crate) destination: Destination,
    pub(crate) call: TaskCall,
}

/// Returns an id for a new task or group.
pub(super) fn new_id() -> String {
    Uuid::new_v4().to_string()
}
