//! Bounded concurrency: the tasks that run now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};
use tracing::Instrument;

use crate::after::After;
use crate::exception::Exception;
use crate::registry::RegisteredTask;
use crate::task::{Outcome, Request};
use crate::worker::state::Token;

/// Runs at most `limit` tasks at a time.
#[derive(Debug)]
pub(crate) struct Pool {
    running: JoinSet<(Outcome, Duration)>,
    runs: HashMap<Id, Run>,
    limit: usize,
}

/// Who runs what.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) token: Token,
    pub(crate) task: Arc<RegisteredTask>,
    pub(crate) request: Request,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) run: Run,
    pub(crate) outcome: Outcome,
    pub(crate) runtime: Duration,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            running: JoinSet::new(),
            runs: HashMap::new(),
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

    /// Starts a run, and what follows it. The caller has seen a free slot.
    pub(crate) fn start(&mut self, run: Run, after: &Arc<After>) {
        let span = tracing::info_span!(
            parent: None,
            "task",
            task.id = run.request.id(),
            task.name = run.request.message().name()
        );
        let (task, request, after) = (Arc::clone(&run.task), run.request.clone(), Arc::clone(after));
        let job = async move {
            after.start(&request).await;
            let started = Instant::now();
            let outcome = task.run(request.clone()).instrument(span).await;
            let runtime = started.elapsed();
            (after.follow(&request, outcome).await, runtime)
        };
        let handle = self.running.spawn(job);
        self.runs.insert(handle.id(), run);
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
                    let exception = Exception::new("Terminated", "the run was ended from outside");
                    (error.id(), Outcome::Failed(exception), Duration::ZERO)
                }
            };
            if let Some(run) = self.runs.remove(&id) {
                return Finished {
                    run,
                    outcome,
                    runtime,
                };
            }
        }
    }

    /// Ends every run without waiting for its result.
    pub(crate) async fn terminate(&mut self) {
        self.running.shutdown().await;
        self.runs.clear();
    }
}
