//! The effects of a run, before its message is acked: the one place where an outcome becomes messages and a result.

use std::collections::VecDeque;
use std::time::Duration;

use celery_protocol::{Incoming, TaskMessage, Value};
use explain::explain;
use jiff::Timestamp;

use super::config::WorkerConfig;
use crate::amqp::destination::Routes;
use crate::amqp::outbox::Outbox;
use crate::amqp::publisher::PublishError;
use crate::canvas::{Canvas, CanvasError, Plan, Publication, Step};
use crate::node::origin;
use crate::result_backend::{Broken, Child, Join, Results};
use crate::task::exception::Exception;
use crate::task::options::TaskOptions;
use crate::task::outcome::Outcome;
use crate::task::registry::Registry;
use crate::task::request::Request;

/// Carries out what a message requests after its task.
pub(crate) struct Effects {
    tasks: Registry,
    nodename: String,
    routes: Routes,
    outbox: Outbox,
    results: Results,
}

/// The reason why messages that follow a task could not be sent.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    #[error(transparent)]
    Canvas(#[from] CanvasError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// There is no result backend for chords; the text is Celery's.
    #[error("{0}")]
    NoChords(&'static str),
}

impl Effects {
    pub(crate) fn new(config: &WorkerConfig, tasks: Registry) -> Self {
        let outbox = Outbox::new(config.broker.clone(), config.nodename.clone());
        Self {
            tasks,
            nodename: config.nodename.clone(),
            routes: config.routes(),
            results: Results::new(&config.result_backend, || outbox.publisher().clone()),
            outbox,
        }
    }

    /// Reports the start of a run. Called inside the pool job, before the task.
    pub(crate) async fn start(&self, request: &Request) {
        if let Some(task) = self.tasks.get(request.task()) {
            self.results
                .started(request, task.options(), &self.nodename)
                .await;
        }
    }

    /// Stores the result of a message that expired before its task could run. The ack follows.
    pub(crate) async fn expired(&self, message: &TaskMessage) {
        if let Some(task) = self.tasks.get(&message.task) {
            let joins = self.results.revoked(message, task.options(), "expired").await;
            self.join(message, joins, &mut Vec::new()).await;
        }
    }

    /// Stores the result of a message whose task is not registered. The reject follows.
    pub(crate) async fn unregistered(&self, message: &Incoming) {
        self.results.unregistered(message).await;
    }

    /// Sends the messages that follow an outcome and stores its result. This runs inside the pool job, so the slot
    /// and the message stay occupied until it returns; if a cold shutdown drops it, the message is redelivered. The
    /// order is Celery's: on success the callbacks and the chain, then the result; on failure the result, then the
    /// errbacks (`celery/app/trace.py`, `celery/backends/base.py`). Returns the outcome to log and to settle by: if
    /// a message cannot be sent, a success becomes a failure.
    pub(crate) async fn follow(&self, request: &Request, outcome: Outcome) -> Outcome {
        let Some(task) = self.tasks.get(request.task()) else {
            return outcome;
        };
        let message = request.message();
        let mut children = Vec::new();
        let outcome = match outcome {
            Outcome::Succeeded(result) => match self.succeeded(message, &result, &mut children).await {
                Ok(()) => Outcome::Succeeded(result),
                Err(error) => Outcome::Failed(error.exception()),
            },
            Outcome::Retried { when, exception } => {
                let retry = self.canvas(message).retry(request.delivery_info(), when);
                match self.send(&retry).await {
                    Ok(()) => Outcome::Retried { when, exception },
                    Err(error) => Outcome::Rejected {
                        requeue: false,
                        reason: format!("the retry cannot be sent: {}", explain(&error)),
                    },
                }
            }
            other => other,
        };
        self.conclude(request, task.options(), &outcome, children).await;
        outcome
    }

    async fn succeeded(
        &self,
        message: &TaskMessage,
        result: &Value,
        children: &mut Vec<Child>,
    ) -> Result<(), NotSent> {
        let plan = self.canvas(message).after_success(result)?;
        self.carry_out(plan, children).await
    }

    /// Stores the result, counts the chord that the task belongs to, and sends the errbacks.
    async fn conclude(
        &self,
        request: &Request,
        options: &TaskOptions,
        outcome: &Outcome,
        mut children: Vec<Child>,
    ) {
        let message = request.message();
        let joins = self
            .results
            .ended(request, options, outcome, children.clone())
            .await;
        self.join(message, joins, &mut children).await;
        if let (Some(body), Some(why)) = (&message.embed.chord, self.refusal_of_chords())
            && outcome.is_final()
        {
            tracing::error!(
                "Task {} belongs to a chord, but its body {} will not be called: {}",
                request.shown(),
                body.task(),
                why.lines().next().unwrap_or_default()
            );
        }
        if outcome.is_failure() {
            let sent = match self.canvas(message).after_failure() {
                Ok(plan) => self.carry_out(plan, &mut children).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = sent {
                tracing::error!(
                    "the errbacks of task {} are not called: {}",
                    request.shown(),
                    explain(&error)
                );
            }
        }
    }

    /// Sends the bodies of chords whose headers are complete, or fails them.
    async fn join(&self, message: &TaskMessage, joins: Vec<Join>, children: &mut Vec<Child>) {
        let mut joins = VecDeque::from(joins);
        while let Some(join) = joins.pop_front() {
            match join {
                Join::Complete { body, results, claim } => {
                    if !self.results.may_send(&claim).await {
                        tracing::warn!(
                            "Chord callback for '{}' not published: dispatch claim is no longer owned by this worker",
                            claim.group
                        );
                        continue;
                    }
                    let sent = match self.canvas(message).call(&body, &[results]) {
                        Ok(plan) => self.carry_out(plan, children).await,
                        Err(error) => Err(error.into()),
                    };
                    if let Err(error) = sent {
                        let error = error.exception();
                        tracing::error!("Chord callback for '{}' raised: {error}", claim.group);
                        let broken =
                            Broken::new(&claim.group, &body, format!("Callback error: {error}"), None);
                        joins.extend(self.fail_body(message, &broken, children).await);
                    }
                    self.results.sent(&claim).await;
                }
                Join::Broken(broken) => joins.extend(self.fail_body(message, &broken, children).await),
            }
        }
    }

    async fn fail_body(
        &self,
        message: &TaskMessage,
        broken: &Broken,
        children: &mut Vec<Child>,
    ) -> Vec<Join> {
        let failed = broken.failed();
        for task in &failed {
            let sent = match self.canvas(message).errbacks(&task.id, &task.errbacks) {
                Ok(plan) => self.carry_out(plan, children).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = sent {
                tracing::error!(
                    "the errbacks of chord body {} are not called: {}",
                    task.id,
                    explain(&error)
                );
            }
        }
        self.results.fail_body(broken, failed, children).await
    }

    async fn carry_out(&self, plan: Plan, children: &mut Vec<Child>) -> Result<(), NotSent> {
        let has_chord = plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::ChordSize { .. }));
        if has_chord && let Some(why) = self.refusal_of_chords() {
            return Err(NotSent::NoChords(why));
        }
        for step in plan.steps {
            match step {
                Step::ChordSize { group, size } => self.results.chord_size(&group, size).await,
                Step::Publish(publication) => self.send(&publication).await?,
            }
        }
        children.extend(plan.children);
        Ok(())
    }

    /// Returns why chords are not possible, in Celery's words, or `None` if they are.
    fn refusal_of_chords(&self) -> Option<&'static str> {
        match self.results {
            Results::None => Some(
                "Starting chords requires a result backend to be configured.\n\n\
                 Note that a group chained with a task is also upgraded to be a chord,\n\
                 as this pattern requires synchronization.\n\n\
                 Result backends that supports chords: Redis, Database, Memcached, and more.",
            ),
            Results::Rpc(_) => Some(
                "The \"rpc\" result backend does not support chords!\n\n\
                 Note that a group chained with a task is also upgraded to be a chord,\n\
                 as this pattern requires synchronization.\n\n\
                 Result backends that supports chords: Redis, Database, Memcached, and more.",
            ),
            #[cfg(feature = "redis")]
            Results::Redis(_) => None,
        }
    }

    fn canvas<'a>(&'a self, parent: &'a TaskMessage) -> Canvas<'a> {
        Canvas {
            parent,
            sender: origin::sender(),
            tasks: &self.tasks,
            routes: &self.routes,
            now: Timestamp::now(),
        }
    }

    async fn send(&self, publication: &Publication) -> Result<(), PublishError> {
        let message = publication.call.encode();
        self.outbox.send(&publication.destination, &message).await
    }

    /// Closes the connection for these messages, within `limit`.
    pub(crate) async fn close(&self, limit: Duration) {
        self.outbox.close(limit).await;
    }
}

impl NotSent {
    /// Returns the exception that the task fails with, as in Celery.
    fn exception(&self) -> Exception {
        match self {
            Self::Canvas(error) => error.exception(),
            Self::Publish(error) => Exception::new("OperationalError", explain(error)),
            Self::NoChords(why) => Exception::new("NotImplementedError", *why),
        }
    }
}
