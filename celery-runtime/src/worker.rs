//! The worker: consumes task messages and runs them as a Celery worker does.

mod broker;
mod consumer;
mod delivery;
mod log;
mod pool;
mod progress;
mod rate_limits;
mod schedule;
mod state;

use std::time::Duration;

use tokio::sync::watch;

use self::broker::Link;
use self::consumer::{Consumer, End};
use crate::broker_url::BrokerUrl;
use crate::connection::{self, BrokerError};
use crate::destination::Routes;
use crate::queue::Queue;
use crate::registry::Registry;
use crate::result_backend::ResultBackend;
use crate::shutdown::{Shutdown, Stage};

/// How a worker consumes; the names are those of Celery's settings and flags (contract F).
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The broker (`-b`, `BROKER_URL`).
    pub broker: BrokerUrl,
    /// The node name (`-n`), `celery@host`.
    pub nodename: String,
    /// The queues to consume from (`-Q`); Celery's default is `celery`.
    pub queues: Vec<String>,
    /// The queue that tasks go to which this worker sends and whose signatures name none (`task_default_queue`).
    pub default_queue: String,
    /// The queues that are not what Celery makes up from their names (`task_queues`), whether they are consumed
    /// from or sent to.
    pub known_queues: Vec<Queue>,
    /// How many tasks run at a time (`-c`).
    pub concurrency: usize,
    /// Messages taken in advance per slot (`--prefetch-multiplier`); 0 is without limit.
    pub prefetch_multiplier: usize,
    /// Whether messages are acked after their run, so that a worker that dies loses none. Celery's default is
    /// before.
    pub acks_late: bool,
    /// Where results go (`--result-backend`).
    pub result_backend: ResultBackend,
    /// How long running tasks may go on after a warm shutdown began. What has not ended by then returns to the
    /// queue.
    pub drain_timeout: Duration,
    /// How long nothing may come while messages are ready and slots are free. Then the worker connects anew, and is
    /// not ready until a message comes or none is ready any more. Celery waits for ever.
    pub progress_timeout: Duration,
}

impl WorkerConfig {
    /// A worker of this node name on the queue `celery` with late acks and 100 slots: async tasks wait more
    /// than they compute, so Celery's default of one slot per processor would leave them idle.
    pub fn new(broker: BrokerUrl, nodename: impl Into<String>) -> Self {
        Self {
            broker,
            nodename: nodename.into(),
            queues: vec!["celery".to_owned()],
            default_queue: "celery".to_owned(),
            known_queues: Vec::new(),
            concurrency: 100,
            prefetch_multiplier: 4,
            acks_late: true,
            result_backend: ResultBackend::None,
            drain_timeout: Duration::from_secs(30),
            progress_timeout: Duration::from_secs(30),
        }
    }

    /// The queues to consume from, as they are declared.
    pub(crate) fn task_queues(&self) -> impl Iterator<Item = Queue> {
        let routes = self.routes();
        self.queues.iter().map(move |name| routes.queue(name))
    }

    /// Those, and the known ones that are only sent to.
    pub(crate) fn all_queues(&self) -> Vec<Queue> {
        let mut all: Vec<Queue> = self.task_queues().collect();
        let others = self
            .known_queues
            .iter()
            .filter(|queue| !self.queues.contains(&queue.name));
        all.extend(others.cloned());
        all
    }

    /// Where the tasks go that this worker sends.
    pub(crate) fn routes(&self) -> Routes {
        Routes::new(&self.default_queue, &self.known_queues)
    }

    /// Prefetch multiplier × concurrency; what does not fit into AMQP's 16 bits is sent as 0, without limit
    /// (contract B.5).
    pub fn prefetch_count(&self) -> u16 {
        u16::try_from(self.prefetch_multiplier.saturating_mul(self.concurrency)).unwrap_or(0)
    }
}

/// Whether a worker takes messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Not yet, or not any more: the reason.
    Away(String),
    /// It is connected, but none of the messages that are ready has come to it: the reason.
    Stalled(String),
    /// It does.
    Consuming,
    /// It stops.
    Stopping,
}

/// A Celery worker.
pub struct Worker {
    consumer: Consumer,
    config: WorkerConfig,
    status: watch::Sender<Status>,
}

impl Worker {
    /// A worker that runs the tasks of `registry`. Nothing connects before [`run`](Self::run).
    pub fn new(config: WorkerConfig, registry: Registry) -> Self {
        let status = watch::Sender::new(Status::Away("connecting".to_owned()));
        Self {
            consumer: Consumer::new(config.clone(), registry, status.clone()),
            config,
            status,
        }
    }

    /// Follows whether the worker takes messages, for health checks.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Empties the worker's queues, as `--purge` does before the start. How many messages were erased.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn purge(&self) -> Result<u32, BrokerError> {
        Link::purge(&self.config).await
    }

    /// Consumes until `shutdown` says stop. One supervisor owns connection, channel and consumers and builds
    /// all three anew after every kind of loss, without end; runs go on meanwhile (contract E.5).
    pub async fn run(mut self, mut shutdown: Shutdown) -> u8 {
        let mut attempt = 0;
        let mut ready = false;
        loop {
            let mut link = tokio::select! {
                link = self.open(&mut attempt) => link,
                stage = shutdown.reached(Stage::Warm) => {
                    self.status.send_replace(Status::Stopping);
                    self.consumer.drain(stage, &mut shutdown).await;
                    self.consumer.close().await;
                    return shutdown.exit_code();
                }
            };
            if !ready {
                tracing::info!("{} ready.", self.config.nodename);
                ready = true;
            }
            self.consumer.connected(&link);
            match self.consumer.consume(&mut link, &mut shutdown).await {
                End::Lost(reason) => {
                    tracing::warn!(
                        "consumer: Connection to broker lost. Trying to re-establish the connection... ({reason})"
                    );
                    self.status.send_replace(Status::Away(reason));
                    self.consumer.forget_deliveries();
                    link.close().await;
                }
                End::Stalled(reason) => {
                    tracing::warn!("consumer: {reason}. Connecting anew");
                    self.status.send_replace(Status::Stalled(reason));
                    self.consumer.forget_deliveries();
                    link.close().await;
                }
                End::Stopped => {
                    self.status.send_replace(Status::Stopping);
                    link.close().await;
                    self.consumer.close().await;
                    return shutdown.exit_code();
                }
            }
        }
    }

    /// Tries until a link is open. The same reason is said once, not at each attempt.
    async fn open(&mut self, attempt: &mut usize) -> Link {
        loop {
            let opened = Link::open(&self.config, *attempt, self.consumer.tags()).await;
            let error = match opened {
                Ok(link) => {
                    *attempt = 0;
                    return link;
                }
                Err(error) => error.explained(),
            };
            *attempt += 1;
            let wait = connection::retry_wait(*attempt);
            let away = Status::Away(error.clone());
            if *self.status.borrow() != away {
                tracing::error!("consumer: {error}. Trying again until the broker answers");
            }
            self.status.send_replace(away);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.consumer.idle() => {}
            }
        }
    }
}
