//! The core of the worker: one loop owns all state and handles one [`Wakeup`] at a time.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::arrivals::TagCounter;
use super::config::WorkerConfig;
use super::effects::Effects;
use super::link::{Link, LinkEvent};
use super::pool::{Finished, Pool};
use super::progress::{Finding, Progress, QueueCheck};
use super::qos::Qos;
use super::state::{Ready, State};
use super::status::Status;
use crate::amqp::connection::BrokerError;
use crate::amqp::queue::Queue;
use crate::shutdown::{Shutdown, Stage};
use crate::task::registry::Registry;

/// Everything that can happen to a consuming worker. Events and remote control (contract C and D) will get their
/// variants here.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "moved once on its way to the strategy; a box would cost more"
)]
enum Wakeup {
    /// The shutdown has reached a new stage.
    Stopping(Stage),
    /// A run has ended.
    Finished(Finished),
    /// A settlement has been written to the broker, or could not be.
    Settled(bool),
    /// A request need not wait any more.
    Ready(Ready),
    /// A message has arrived, the consumers were replaced, or the link is lost.
    Link(LinkEvent),
    /// The check of the number of ready messages has a result.
    Checked(QueueCheck),
}

/// The action to take on the link after a wakeup.
#[derive(Debug)]
#[must_use]
enum Next {
    /// Wait for the next wakeup.
    Wait,
    /// Replace the consumers with ones that have an empty window.
    Renew,
    /// Stop.
    Stop(Stage),
    /// Give up the link.
    Leave(End),
}

/// The reason why [`Consumer::consume`] returned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The link is lost: connect again.
    Lost(String),
    /// The link is open, but nothing arrives over it: connect again.
    Stalled(String),
    /// The worker is to stop.
    Stopping(Stage),
}

/// The state of a worker. It outlives connections: runs continue while the broker is away.
pub(crate) struct Consumer {
    pub(super) registry: Registry,
    /// The queues to consume from.
    queues: Vec<Queue>,
    pub(super) acks_late: bool,
    pub(super) pool: Pool,
    pub(super) effects: Arc<Effects>,
    pub(super) state: State,
    pub(super) qos: Qos,
    pub(super) settling: FuturesUnordered<BoxFuture<'static, bool>>,
    tags: TagCounter,
    progress: Progress,
    status: watch::Sender<Status>,
}

impl Consumer {
    /// Creates a consumer. It reports on `status` when messages arrive again.
    pub(crate) fn new(config: &WorkerConfig, registry: Registry, status: watch::Sender<Status>) -> Self {
        Self {
            acks_late: config.acks_late,
            queues: config.task_queues().collect(),
            pool: Pool::new(config.concurrency),
            effects: Arc::new(Effects::new(config, registry.clone())),
            state: State::new(&registry),
            qos: Qos::new(config.prefetch_count()),
            registry,
            settling: FuturesUnordered::new(),
            tags: TagCounter::default(),
            progress: Progress::new(config.progress_timeout),
            status,
        }
    }

    /// Opens a link for this consumer.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses a step.
    pub(crate) async fn open(&mut self, config: &WorkerConfig, attempt: usize) -> Result<Link, BrokerError> {
        Link::open(config, &self.queues, attempt, self.qos.window(), &mut self.tags).await
    }

    /// Registers a new link. If the previous one was stalled, the worker is not ready until this one delivers.
    pub(crate) fn connected(&mut self, link: &Link) {
        self.qos.renewed(link.generation());
        self.progress.connected(link.observer());
        self.status.send_replace(match self.progress.problem() {
            None => Status::Consuming,
            Some(reason) => Status::Stalled(reason.to_owned()),
        });
    }

    /// Consumes from `link` until it is lost or the worker is to stop.
    pub(crate) async fn consume(&mut self, link: &mut Link, shutdown: &mut Shutdown) -> End {
        loop {
            let has_room = self.has_room();
            let wakeup = tokio::select! {
                biased;
                stage = shutdown.reached(Stage::Warm) => Wakeup::Stopping(stage),
                finished = self.pool.finished() => Wakeup::Finished(finished),
                Some(sent) = self.settling.next() => Wakeup::Settled(sent),
                ready = self.state.ready() => Wakeup::Ready(ready),
                event = link.next() => Wakeup::Link(event),
                check = self.progress.next_check(has_room) => Wakeup::Checked(check),
            };
            match self.handle(wakeup) {
                Next::Wait => {}
                Next::Renew => link.renew(self.qos.window(), &mut self.tags),
                Next::Stop(stage) => return End::Stopping(stage),
                Next::Leave(end) => return end,
            }
        }
    }

    fn handle(&mut self, wakeup: Wakeup) -> Next {
        match wakeup {
            Wakeup::Stopping(stage) => return Next::Stop(stage),
            Wakeup::Finished(finished) => {
                self.finished(finished);
                self.start_reserved();
            }
            Wakeup::Settled(true) => {}
            Wakeup::Settled(false) => {
                tracing::debug!("a settlement could not be sent; the broker redelivers the message");
            }
            Wakeup::Ready(Ready::Due(reserved)) => {
                self.qos.release(reserved.delivery.generation);
                self.admit(reserved);
            }
            Wakeup::Ready(Ready::Released(reserved)) => {
                self.state.reserve(reserved);
                self.start_reserved();
            }
            Wakeup::Link(LinkEvent::Message(delivery, message)) => {
                if self.progress.delivered() {
                    self.status.send_replace(Status::Consuming);
                }
                self.delivered(delivery, message);
            }
            Wakeup::Link(LinkEvent::Renewed(generation)) => self.qos.renewed(generation),
            Wakeup::Link(LinkEvent::Lost(reason)) => return Next::Leave(End::Lost(reason)),
            Wakeup::Checked(check) => match self.progress.judge(check) {
                Finding::Healthy => {}
                Finding::Recovered => {
                    self.status.send_replace(Status::Consuming);
                }
                Finding::Stalled(reason) => return Next::Leave(End::Stalled(reason)),
            },
        }
        let others = self.pool.len() + self.state.backlog();
        if self.qos.begin_renewal_if_due(others) {
            tracing::debug!(
                "messages waiting for their ETA: {}; replacing the consumers to get an empty window",
                self.state.scheduled()
            );
            return Next::Renew;
        }
        Next::Wait
    }

    /// Returns whether the broker could send a message that would run at once.
    fn has_room(&self) -> bool {
        self.pool.has_free_slot()
            && self.state.backlog() == 0
            && self.qos.has_room(self.pool.len() + self.settling.len())
    }

    /// Forgets the messages that the lost link delivered, which the broker redelivers. Runs continue.
    pub(crate) fn forget_deliveries(&mut self) {
        self.state.forget_waiting();
        self.settling.clear();
    }

    /// Handles runs that end while there is no link; their settlements wait for the redelivery.
    pub(crate) async fn idle(&mut self) {
        loop {
            let finished = self.pool.finished().await;
            self.finished(finished);
        }
    }
}
