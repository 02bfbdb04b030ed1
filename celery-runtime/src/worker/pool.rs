//! Bounded concurrency: the active runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};
use tracing::Instrument;

use super::effects::Effects;
use crate::task::exception::Exception;
use crate::task::outcome::Outcome;
use crate::task::registry::RegisteredTask;
use crate::task::request::Request;
use crate::task::time_limits::TimeLimits;

/// How long to wait for cancelled runs. A run that computes without a pause does not notice the cancellation.
const TERMINATION: Duration = Duration::from_millis(100);

/// Runs at most `limit` tasks at a time. [`super::state::State`] holds the request of each run, by the run's id.
#[derive(Debug)]
pub(crate) struct Pool {
    running: JoinSet<(Outcome, Duration)>,
    limit: usize,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) id: Id,
    pub(crate) outcome: Outcome,
    pub(crate) runtime: Duration,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            running: JoinSet::new(),
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

    /// Starts a run and its effects. The caller has checked that a slot is free.
    pub(crate) fn start(
        &mut self,
        task: &Arc<RegisteredTask>,
        request: &Request,
        limits: TimeLimits,
        effects: &Arc<Effects>,
    ) -> Id {
        let span = tracing::info_span!(
            parent: None,
            "task",
            task.id = request.id(),
            task.name = request.message().name()
        );
        let (task, request, effects) = (Arc::clone(task), request.clone(), Arc::clone(effects));
        let job = async move {
            effects.start(&request).await;
            let started = Instant::now();
            let outcome = task.run_within(request.clone(), limits).instrument(span).await;
            let runtime = started.elapsed();
            (effects.follow(&request, outcome).await, runtime)
        };
        self.running.spawn(job).id()
    }

    /// Waits for the next run to end; forever if there is no run.
    pub(crate) async fn finished(&mut self) -> Finished {
        let Some(ended) = self.running.join_next_with_id().await else {
            return std::future::pending().await;
        };
        match ended {
            Ok((id, (outcome, runtime))) => Finished { id, outcome, runtime },
            Err(error) => Finished {
                id: error.id(),
                outcome: Outcome::Failed(Exception::new("Terminated", "the run was cancelled")),
                runtime: Duration::ZERO,
            },
        }
    }

    /// Cancels every run without waiting for its result.
    pub(crate) async fn terminate(&mut self) {
        let _busy = tokio::time::timeout(TERMINATION, self.running.shutdown()).await;
    }
}
