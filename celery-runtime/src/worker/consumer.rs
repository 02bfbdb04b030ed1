//! The heart of the worker: one loop owns all state and handles one [`Wakeup`] at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use celery_protocol::TaskMessage;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::watch;

use super::broker::{Incoming, Link, TagCounter};
use super::delivery::Delivery;
use super::log;
use super::pool::{Finished, Pool, Run};
use super::progress::{Finding, Look, Progress};
use super::rate_limits::RateLimits;
use super::schedule::Schedule;
use super::state::{Arrival, State};
use super::{Status, WorkerConfig};
use crate::after::After;
use crate::registry::{RegisteredTask, Registry};
use crate::settlement::Settlement;
use crate::shutdown::{Shutdown, Stage};
use crate::strategy::{self, Disposition};
use crate::task::Request;

/// Everything that can happen to a consuming worker. Events and remote control (contract C and D) get their
/// variants, `Tick` and `Control`, here.
#[derive(Debug)]
enum Wakeup {
    /// A message has arrived.
    Delivered(Delivery, Box<celery_protocol::Message>),
    /// A held message has reached its ETA.
    Due(Reserved),
    /// The rate of its task lets a message go.
    Released(Reserved),
    /// A run has ended.
    Finished(Finished),
    /// A settlement has been written to the broker, or could not be.
    Settled(bool),
    /// A consumer or the whole connection has ended, and why.
    Lost(u64, String),
    /// The broker was asked how many messages are ready.
    Looked(Look),
    /// The shutdown has got to a further stage.
    Stopping(Stage),
}

/// A message that waits for a slot or its ETA. Unsettled.
#[derive(Debug)]
struct Reserved {
    delivery: Delivery,
    message: Box<TaskMessage>,
    task: Arc<RegisteredTask>,
}

/// Why [`Consumer::consume`] returned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The link is gone: connect anew.
    Lost(String),
    /// The link is there, but nothing comes over it: connect anew.
    Stalled(String),
    /// The worker has stopped.
    Stopped,
}

/// A worker's state. It outlives connections: runs go on while the broker is away.
pub(crate) struct Consumer {
    config: WorkerConfig,
    registry: Registry,
    pool: Pool,
    after: Arc<After>,
    reserved: VecDeque<Reserved>,
    schedule: Schedule<Reserved>,
    limits: RateLimits<Reserved>,
    /// How many messages of the current consumers are held for their ETA, out of their window.
    held_in_window: usize,
    state: State,
    settling: FuturesUnordered<BoxFuture<'static, bool>>,
    tags: TagCounter,
    progress: Progress,
    status: watch::Sender<Status>,
}

impl Consumer {
    /// `status` is told when messages come again.
    pub(crate) fn new(config: WorkerConfig, registry: Registry, status: watch::Sender<Status>) -> Self {
        Self {
            pool: Pool::new(config.concurrency),
            after: Arc::new(After::new(&config, registry.clone())),
            progress: Progress::new(config.progress_timeout),
            status,
            config,
            registry,
            reserved: VecDeque::new(),
            schedule: Schedule::new(),
            limits: RateLimits::new(),
            held_in_window: 0,
            state: State::default(),
            settling: FuturesUnordered::new(),
            tags: TagCounter::default(),
        }
    }

    /// The tags of this process's consumers.
    pub(crate) fn tags(&mut self) -> &mut TagCounter {
        &mut self.tags
    }

    /// A link is open. Where the one before brought nothing, it has yet to prove itself.
    pub(crate) fn connected(&mut self, link: &Link) {
        self.progress.connected(link.observer());
        self.status.send_replace(match self.progress.trouble() {
            None => Status::Consuming,
            Some(reason) => Status::Stalled(reason.to_owned()),
        });
    }

    /// Consumes from `link` until it is lost or the worker has stopped.
    pub(crate) async fn consume(&mut self, link: &mut Link, shutdown: &mut Shutdown) -> End {
        loop {
            let has_room = self.has_room();
            let wakeup = tokio::select! {
                biased;
                stage = shutdown.reached(Stage::Warm) => Wakeup::Stopping(stage),
                finished = self.pool.finished() => Wakeup::Finished(finished),
                Some(sent) = self.settling.next() => Wakeup::Settled(sent),
                reserved = self.schedule.next() => Wakeup::Due(reserved),
                reserved = self.limits.next() => Wakeup::Released(reserved),
                incoming = link.next() => match incoming {
                    Incoming::Message(delivery, message) => Wakeup::Delivered(delivery, message),
                    Incoming::Ended(consumer, reason) => Wakeup::Lost(consumer, reason),
                },
                look = self.progress.looked(has_room) => Wakeup::Looked(look),
            };
            if let Err(end) = self.handle(wakeup, link, shutdown).await {
                return end;
            }
        }
    }

    async fn handle(&mut self, wakeup: Wakeup, link: &mut Link, shutdown: &mut Shutdown) -> Result<(), End> {
        match wakeup {
            Wakeup::Delivered(delivery, message) => {
                if self.progress.delivered() {
                    self.status.send_replace(Status::Consuming);
                }
                self.delivered(delivery, *message);
                self.keep_window_open(link).await?;
            }
            Wakeup::Due(reserved) => self.due(reserved, link),
            Wakeup::Released(reserved) => self.reserve(reserved),
            Wakeup::Finished(finished) => {
                self.finished(finished);
                self.start_reserved();
            }
            Wakeup::Settled(sent) => {
                if !sent {
                    tracing::debug!("a settlement could not be sent; the broker delivers the message again");
                }
            }
            Wakeup::Lost(consumer, reason) if consumer == link.consumer() => return Err(End::Lost(reason)),
            Wakeup::Lost(..) => {}
            Wakeup::Looked(look) => self.looked(look)?,
            Wakeup::Stopping(stage) => {
                self.stop(stage, link, shutdown).await;
                return Err(End::Stopped);
            }
        }
        Ok(())
    }

    /// Whether the broker could send something that would run at once.
    fn has_room(&self) -> bool {
        let window = usize::from(self.config.prefetch_count());
        let taken = self.pool.len() + self.held_in_window + self.settling.len();
        self.pool.has_free_slot()
            && self.reserved.is_empty()
            && self.limits.is_empty()
            && (window == 0 || taken < window)
    }

    fn looked(&mut self, look: Look) -> Result<(), End> {
        match self.progress.judge(look) {
            Finding::Well => Ok(()),
            Finding::Over => {
                self.status.send_replace(Status::Consuming);
                Ok(())
            }
            Finding::Stalled(reason) => Err(End::Stalled(reason)),
        }
    }

    fn delivered(&mut self, delivery: Delivery, message: celery_protocol::Message) {
        let now = Timestamp::now();
        match strategy::decide(message, &self.registry, now) {
            Disposition::Start(message, task) => {
                log::received(&message);
                self.limit(Reserved {
                    delivery,
                    message,
                    task,
                });
            }
            Disposition::Hold(eta, message, task) => {
                log::received(&message);
                self.held_in_window += 1;
                self.schedule.hold(
                    eta,
                    Reserved {
                        delivery,
                        message,
                        task,
                    },
                );
            }
            Disposition::Expired(message) => {
                log::received(&message);
                self.expired(delivery, message);
            }
            Disposition::Unregistered(incoming) => {
                log::unregistered(&incoming, &delivery);
                self.unregistered(delivery, incoming);
            }
            Disposition::Refuse(error) => {
                log::refused(&error);
                self.settle(delivery, log::settlement_of(&error));
            }
        }
    }

    fn due(&mut self, reserved: Reserved, link: &Link) {
        if reserved.delivery.consumer == link.consumer() {
            self.held_in_window = self.held_in_window.saturating_sub(1);
        }
        self.limit(reserved);
    }

    /// Reserves it as soon as its task's rate allows.
    fn limit(&mut self, reserved: Reserved) {
        let options = reserved.task.options();
        let admitted = match options.rate_limit {
            Some(rate) => {
                let task = options.name.clone();
                self.limits.admit(&task, rate, reserved)
            }
            None => Some(reserved),
        };
        if let Some(reserved) = admitted {
            self.reserve(reserved);
        }
    }

    /// Runs it at once where a slot is free and nothing waits before it.
    fn reserve(&mut self, reserved: Reserved) {
        self.reserved.push_back(reserved);
        self.start_reserved();
    }

    fn start_reserved(&mut self) {
        while self.pool.has_free_slot()
            && let Some(reserved) = self.reserved.pop_front()
        {
            self.start(reserved);
        }
    }

    fn start(
        &mut self,
        Reserved {
            delivery,
            message,
            task,
        }: Reserved,
    ) {
        if strategy::is_expired(&message, Timestamp::now()) {
            return self.expired(delivery, message);
        }
        let acks_late = task.acks_late(self.config.acks_late);
        let request = Request::delivered(*message, delivery.info.clone());
        let run = request.run();
        match self.state.arrived(&run, delivery) {
            Arrival::New(delivery) => {
                let unsettled = if acks_late {
                    Some(delivery)
                } else {
                    self.settle(delivery, Settlement::Ack);
                    None
                };
                let token = self.state.started(run, unsettled);
                let run = Run { token, task, request };
                self.pool.start(run, &self.after);
            }
            Arrival::UnderWay => log::known(&request, "goes on here"),
            Arrival::Ended(delivery, settlement) => {
                log::known(&request, "has ended here");
                self.settle(delivery, settlement);
            }
        }
    }

    fn finished(
        &mut self,
        Finished {
            run,
            outcome,
            runtime,
        }: Finished,
    ) {
        log::ended(&run.task, &run.request, &outcome, runtime);
        let settlement = run.task.settlement(&outcome);
        for delivery in self.state.ended(run.token, settlement) {
            self.settle(delivery, settlement);
        }
    }

    /// Acks what came too late to be run, once whoever waits for its result is told.
    fn expired(&mut self, delivery: Delivery, message: Box<TaskMessage>) {
        log::discarded(&message);
        let after = Arc::clone(&self.after);
        let settled = async move {
            after.expired(&message).await;
            delivery.settle(Settlement::Ack).await
        };
        self.settling.push(settled.boxed());
    }

    /// Rejects what no task is registered for, once whoever waits for its result is told.
    fn unregistered(&mut self, delivery: Delivery, incoming: Box<celery_protocol::Incoming>) {
        let after = Arc::clone(&self.after);
        let settled = async move {
            after.unregistered(&incoming).await;
            delivery.settle(Settlement::Reject { requeue: false }).await
        };
        self.settling.push(settled.boxed());
    }

    fn settle(&mut self, delivery: Delivery, settlement: Settlement) {
        self.settling.push(delivery.settle(settlement));
    }

    /// Held messages stay in the broker's window. Before they fill it, a new consumer brings a new window.
    async fn keep_window_open(&mut self, link: &mut Link) -> Result<(), End> {
        let window = usize::from(self.config.prefetch_count());
        if window == 0 || self.held_in_window * 2 < window {
            return Ok(());
        }
        self.held_in_window = 0;
        tracing::debug!(
            "messages waiting for their ETA: {}; consuming anew for a free window",
            self.schedule.len()
        );
        link.consume_anew(&self.config, &mut self.tags)
            .await
            .map_err(|error| End::Lost(error.explained()))
    }

    /// Lets go of what the lost link delivered: the broker delivers it again. Runs go on.
    pub(crate) fn forget_deliveries(&mut self) {
        self.reserved.clear();
        self.schedule.clear();
        self.limits.clear();
        self.held_in_window = 0;
        self.settling.clear();
    }

    /// While there is no link, runs still end, and their results wait for the redelivery.
    pub(crate) async fn idle(&mut self) {
        loop {
            let finished = self.pool.finished().await;
            self.finished(finished);
        }
    }

    /// Contract E.7. Warm: nothing more is taken, running tasks finish and are acked, what was reserved or
    /// scheduled returns to the queue. Cold: running tasks are ended and return as well, if acked late.
    async fn stop(&mut self, stage: Stage, link: &mut Link, shutdown: &mut Shutdown) {
        if let Err(error) = link.cancel_consumers().await {
            tracing::debug!("{}", error.explained());
        }
        self.reserved.clear();
        self.schedule.clear();
        self.limits.clear();
        self.drain(stage, shutdown).await;
        let settled = async { while self.settling.next().await.is_some() {} };
        let _gone = tokio::time::timeout(self.config.drain_timeout, settled).await;
    }

    /// Ends what outlives the links. The runs have ended.
    pub(crate) async fn close(&mut self) {
        self.after.close().await;
    }

    /// Waits for running tasks, up to the drain timeout or a cold shutdown.
    pub(crate) async fn drain(&mut self, stage: Stage, shutdown: &mut Shutdown) {
        let deadline = tokio::time::sleep(self.config.drain_timeout);
        tokio::pin!(deadline);
        let mut cold = stage == Stage::Cold;
        while !cold && !self.pool.is_empty() {
            tokio::select! {
                finished = self.pool.finished() => self.finished(finished),
                Some(_sent) = self.settling.next() => {}
                _cold = shutdown.reached(Stage::Cold) => cold = true,
                () = &mut deadline => {
                    let limit = self.config.drain_timeout.as_secs();
                    match self.pool.len() {
                        1 => tracing::warn!("1 task did not end within {limit} s; its message returns to the queue"),
                        left => tracing::warn!("{left} tasks did not end within {limit} s; their messages return to the queue"),
                    }
                    cold = true;
                }
            }
        }
        self.pool.terminate().await;
    }
}
