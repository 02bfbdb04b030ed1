//! The interface to the queue of accepted requests.

use std::error::Error;

use celery_protocol::TaskCall;

/// A queue that workers take tasks from.
pub trait TaskQueue: Send + Sync + 'static {
    /// Puts a task on the queue. `Ok` means that the queue holds it, whatever happens to this
    /// process.
    fn put(&self, call: TaskCall) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Returns whether a task put now would be taken at once, as far as is known.
    fn is_ready(&self) -> bool;
}

/// An error: it is not certain that the queue holds the task.
#[derive(Debug, thiserror::Error)]
#[error("the task queue is not available")]
pub struct Unavailable(#[source] pub Box<dyn Error + Send + Sync>);
