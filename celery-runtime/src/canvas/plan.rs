//! What is to be sent, as a value.

use celery_protocol::TaskCall;
use uuid::Uuid;

use crate::amqp::destination::Destination;
use crate::result_backend::Child;

/// What is to be done, in order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What `AsyncResult.children` of the task will show.
    pub(crate) children: Vec<Child>,
}

/// One thing to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Send a message.
    Publish(Box<Publication>),
    /// Tell the result backend of how many ends the group of a chord consists.
    ChordSize { group: String, size: usize },
}

/// A message and where it goes.
#[derive(Debug, PartialEq)]
pub(crate) struct Publication {
    pub(crate) destination: Destination,
    pub(crate) call: TaskCall,
}

/// The id of a new task or group.
pub(super) fn new_id() -> String {
    Uuid::new_v4().to_string()
}
