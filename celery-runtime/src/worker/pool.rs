//! Bounded concurrency: the tasks that run now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};
use tracing::Instrument;

use crate::registry::RegisteredTask;
use crate::task::{Exception, Outcome, Request};
use crate::worker::state::Token;

/// Runs at most `limit` tasks at a time.
#[derive(Debug)]
pub(crate) struct Pool {
    running: JoinSet<(Outcome, Duration)>,
    requests: HashMap<Id, (Token, Request)>,
    limit: usize,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) token: Token,
    pub(crate) request: Request,
    pub(crate) outcome: Outcome,
    pub(crate) runtime: Duration,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            running: JoinSet::new(),
            requests: HashMap::new(),
            limit,
        }
    }

    pub(crate) fn has_free_slot(&self) -> bool {
        self.running.len() < self.limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Starts a run. The caller has seen a free slot.
    pub(crate) fn start(&mut self, token: Token, task: &Arc<RegisteredTask>, request: Request) {
        let span = tracing::info_span!(
            parent: None,
            "task",
            task.id = request.id(),
            task.name = request.message().name()
        );
        let (task, job) = (Arc::clone(task), request.clone());
        let run = async move {
            let started = Instant::now();
            let outcome = task.run(job).await;
            (outcome, started.elapsed())
        };
        let handle = self.running.spawn(run.instrument(span));
        self.requests.insert(handle.id(), (token, request));
    }

    /// Waits for the next run to end; for ever when none runs.
    pub(crate) async fn finished(&mut self) -> Finished {
        loop {
            let Some(ended) = self.running.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let (id, outcome, runtime) = match ended {
                Ok((id, (outcome, runtime))) => (id, outcome, runtime),
                Err(error) => {
                    let message = "the run was ended from outside".to_owned();
                    let exception = Exception {
                        kind: "Terminated".to_owned(),
                        message,
                    };
                    (error.id(), Outcome::Failed(exception), Duration::ZERO)
                }
            };
            if let Some((token, request)) = self.requests.remove(&id) {
                return Finished {
                    token,
                    request,
                    outcome,
                    runtime,
                };
            }
        }
    }

    /// Ends every run without waiting for its result.
    pub(crate) async fn terminate(&mut self) {
        self.running.shutdown().await;
        self.requests.clear();
    }
}
