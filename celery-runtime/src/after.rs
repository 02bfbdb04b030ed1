//! What follows a run, before its message is acked: the one place where an outcome becomes messages and a result.

use std::time::Duration;

use celery_protocol::TaskMessage;

use crate::publisher::{Publisher, PublisherConfig};
use crate::registry::Registry;
use crate::result_backend::Results;
use crate::task::{Outcome, Request};
use crate::worker::WorkerConfig;

/// Does what a message asks to be done after its task.
pub(crate) struct After {
    tasks: Registry,
    nodename: String,
    results: Results,
}

impl After {
    pub(crate) fn new(config: &WorkerConfig, tasks: Registry) -> Self {
        let publisher = || {
            Publisher::start(PublisherConfig {
                broker: config.broker.clone(),
                name: config.nodename.clone(),
                queue: None,
                deadline: Duration::from_secs(10),
            })
        };
        Self {
            tasks,
            nodename: config.nodename.clone(),
            results: Results::new(&config.result_backend, publisher),
        }
    }

    /// Runs inside the pool job, before the task does.
    pub(crate) async fn start(&self, request: &Request) {
        if let Some(task) = self.tasks.get(request.task()) {
            self.results
                .started(request, task.options(), &self.nodename)
                .await;
        }
    }

    /// The message expired before its task could run: what waits for the result is told, before the ack.
    pub(crate) async fn expired(&self, message: &TaskMessage) {
        if let Some(task) = self.tasks.get(&message.task) {
            let _joins = self.results.revoked(message, task.options(), "expired").await;
        }
    }

    /// Runs inside the pool job, so the slot and the message stay taken until it returns; dropped by a cold shutdown
    /// it leaves the message to redelivery. Celery's order: on success the callbacks and the chain, then the result;
    /// on failure the result, then the errbacks (`celery/app/trace.py`, `celery/backends/base.py`). Returns how the
    /// task is to be logged and settled: what cannot be sent makes a success a failure.
    pub(crate) async fn follow(&self, request: &Request, outcome: Outcome) -> Outcome {
        if let Some(task) = self.tasks.get(request.task()) {
            let _joins = self
                .results
                .ended(request, task.options(), &outcome, Vec::new())
                .await;
        }
        outcome
    }
}
