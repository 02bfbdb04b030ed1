//! Runs the messages in the queue: decisions, tasks and settlements are those of the worker on RabbitMQ with late acks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use celery_runtime::{
    DeliveryInfo, Disposition, Outcome, RegisteredTask, Registry, Request, Settlement, decide, report,
};
use explain::explain;
use jiff::Timestamp;
use service_kit::background;
use service_kit::readiness::Part;
use service_kit::shutdown::{DRAIN_LIMIT, GracefulShutdown};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tracing::Instrument as _;

use crate::database::DatabaseError;
use crate::queue::{Queue, Removal, RowId, Waiting};

/// The maximum number of concurrent tasks, which wait more than they compute.
const CONCURRENCY: usize = 100;

/// The delay before an operation that failed in the database is retried.
const RETRY: Duration = Duration::from_secs(1);

/// A runner that takes messages in order. A message leaves the queue only when its run has ended, so nothing is lost,
/// whenever this process ends.
pub(crate) struct Runner {
    queue: Queue,
    registry: Registry,
    /// The last message that was in the queue before this process: messages up to it may have been run before.
    found: RowId,
    health: Part,
    /// The runs, each including the removal of its message.
    running: JoinSet<()>,
    /// Messages that wait for their ETA and then come back.
    held: JoinSet<Option<Waiting>>,
}

/// Everything that can happen.
enum Wakeup {
    /// A message has arrived, or its ETA has.
    Arrived(Box<Waiting>),
    /// A held message has been removed by another program.
    Gone,
    /// A run has ended, and its message has been removed.
    Finished,
    /// A part of the runner has panicked.
    Broken(JoinError),
    /// No new run may start.
    Stopping,
}

impl Runner {
    pub(crate) fn new(queue: Queue, registry: Registry, found: RowId, health: Part) -> Self {
        health.ready();
        Self {
            queue,
            registry,
            found,
            health,
            running: JoinSet::new(),
            held: JoinSet::new(),
        }
    }

    /// Runs until a warm shutdown, then lets running tasks finish within the drain limit. Everything that has not ended
    /// by then stays in the queue.
    ///
    /// # Errors
    ///
    /// If one of its tasks panics: the message of that run, or all later messages, would stay in the queue unnoticed.
    pub(crate) async fn run(mut self, shutdown: GracefulShutdown) -> anyhow::Result<()> {
        let (sender, mut arrivals) = mpsc::channel(1);
        let mut feeding = JoinSet::new();
        feeding.spawn(feed(self.queue.clone(), sender));
        let broken = loop {
            let free = self.running.len() < CONCURRENCY;
            let wakeup = tokio::select! {
                biased;
                () = shutdown.warm.cancelled() => Wakeup::Stopping,
                Some(run) = self.running.join_next() => run.map_or_else(Wakeup::Broken, |()| Wakeup::Finished),
                Some(held) = self.held.join_next(), if free => match held {
                    Ok(Some(waiting)) => Wakeup::Arrived(Box::new(waiting)),
                    Ok(None) => Wakeup::Gone,
                    Err(error) => Wakeup::Broken(error),
                },
                Some(Err(error)) = feeding.join_next() => Wakeup::Broken(error),
                Some(waiting) = arrivals.recv(), if free => Wakeup::Arrived(Box::new(waiting)),
            };
            match wakeup {
                Wakeup::Arrived(waiting) => self.arrived(*waiting, Timestamp::now()),
                Wakeup::Gone | Wakeup::Finished => {}
                Wakeup::Broken(error) => {
                    let how = background::how(error);
                    self.health.not_ready(how.as_str());
                    tracing::error!("a task of the worker {how}; finishing running work");
                    break Some(how);
                }
                Wakeup::Stopping => break None,
            }
        };
        drop((feeding, self.held));
        let running = &mut self.running;
        tokio::select! {
            () = async { while running.join_next().await.is_some() {} } => {}
            () = shutdown.drain_limit() => {}
            () = sleep(DRAIN_LIMIT), if broken.is_some() => {}
        }
        match self.running.len() {
            0 => {}
            1 => tracing::warn!("1 request is still running; it will run again at the next start"),
            left => {
                tracing::warn!("{left} requests are still running; they will run again at the next start");
            }
        }
        match broken {
            None => Ok(()),
            Some(how) => bail!("one of its tasks {how}"),
        }
    }

    fn arrived(&mut self, Waiting { id, message }: Waiting, now: Timestamp) {
        let message = match message {
            Ok(message) => message,
            Err(error) => return self.set_aside(id, format!("the row cannot be read: {}", explain(&error))),
        };
        let info = Arc::new(DeliveryInfo::from_queue("celery", id <= self.found));
        match decide(message, info, &self.registry, now) {
            Disposition::Start(request, task) => {
                let span = tracing::info_span!(parent: None, "task", task.id = request.id());
                let run = run(self.queue.clone(), id, task, request);
                self.running.spawn(run.instrument(span));
            }
            Disposition::Hold(eta, _, _) => {
                let wait = Duration::try_from(eta.duration_since(now)).unwrap_or_default();
                self.held.spawn(due(self.queue.clone(), id, wait));
            }
            Disposition::Expired(request) => {
                report::discarded(&request);
                self.running
                    .spawn(remove(self.queue.clone(), id, Removal::Delete));
            }
            Disposition::Unregistered(incoming) => {
                self.set_aside(id, format!("there is no task named {}", incoming.task_repr()));
            }
            Disposition::Refuse(error) => self.set_aside(id, error.to_string()),
        }
    }

    /// Sets a message aside in the file. There is no need for a dead-letter exchange, because the file has room for it.
    fn set_aside(&mut self, id: RowId, reason: String) {
        tracing::error!("message {id} cannot be run and is set aside: {reason}");
        self.running
            .spawn(remove(self.queue.clone(), id, Removal::SetAside(reason)));
    }
}

/// Passes messages on in order, as fast as they are taken.
async fn feed(queue: Queue, into: mpsc::Sender<Waiting>) {
    let mut last = 0;
    loop {
        for waiting in until_done("read the queue", || queue.after(last)).await {
            last = waiting.id;
            if into.send(waiting).await.is_err() {
                return;
            }
        }
    }
}

/// Returns the message when its ETA has come. Its body is not kept in memory meanwhile.
async fn due(queue: Queue, id: RowId, wait: Duration) -> Option<Waiting> {
    sleep(wait).await;
    until_done("read the queue", || queue.get(id)).await
}

async fn run(queue: Queue, id: RowId, task: Arc<RegisteredTask>, request: Request) {
    let started = Instant::now();
    let outcome = task.run(request.clone()).await;
    if let Outcome::Retried { .. } = outcome {
        tracing::error!(
            "Task {} requested a retry, which standalone does not support",
            request.shown()
        );
    } else {
        report::ended(&task, &request, &outcome, started.elapsed());
    }
    remove(queue, id, removal(&task, &outcome)).await;
}

async fn remove(queue: Queue, id: RowId, removal: Removal) {
    until_done("take a message out of the queue", || {
        queue.remove(id, removal.clone())
    })
    .await;
}

/// Returns the fate of a message after its run, as RabbitMQ would receive it.
fn removal(task: &RegisteredTask, outcome: &Outcome) -> Removal {
    if let Outcome::Retried { .. } = outcome {
        return Removal::SetAside("its task requested a retry, which standalone does not support".to_owned());
    }
    match task.settlement(outcome) {
        Settlement::Ack => Removal::Delete,
        Settlement::Reject { requeue: true } => Removal::Requeue,
        Settlement::Reject { requeue: false } => Removal::SetAside(match outcome {
            Outcome::Rejected { reason, .. } => format!("its task rejected it: {reason}"),
            Outcome::Failed(exception) => format!("its task failed: {exception}"),
            _ => "its task rejected it".to_owned(),
        }),
    }
}

/// Retries until the database succeeds: a full disk may have room again. Logs the failure once.
async fn until_done<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, DatabaseError>>,
{
    let mut logged = false;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) if logged => tracing::debug!("still cannot {what}: {}", explain(&error)),
            Err(error) => {
                tracing::error!("cannot {what}; retrying until it works: {}", explain(&error));
                logged = true;
            }
        }
        sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests;
