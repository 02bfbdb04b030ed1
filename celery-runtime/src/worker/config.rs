//! The configuration of a worker.

use std::time::Duration;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::destination::Routes;
use crate::amqp::queue::Queue;
use crate::result_backend::ResultBackend;

/// The settings of a worker, named after Celery's settings and flags (contract F).
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The broker (`-b`, `BROKER_URL`).
    pub broker: BrokerUrl,
    /// The node name (`-n`), `celery@host`.
    pub nodename: String,
    /// The queues to consume from (`-Q`); Celery's default is `celery`.
    pub queues: Vec<String>,
    /// The queue for tasks that this worker sends and whose signatures name no queue (`task_default_queue`).
    pub default_queue: String,
    /// The queues whose attributes differ from Celery's default for their names (`task_queues`), whether they are
    /// consumed from or sent to.
    pub known_queues: Vec<Queue>,
    /// Maximum number of tasks that run at a time (`-c`).
    pub concurrency: usize,
    /// Number of prefetched messages per slot (`--prefetch-multiplier`); 0 means without limit.
    pub prefetch_multiplier: usize,
    /// Whether messages are acked after their run, so that a worker that dies loses none. Celery's default is to
    /// ack before the run.
    pub acks_late: bool,
    /// The result backend (`--result-backend`).
    pub result_backend: ResultBackend,
    /// How long running tasks may continue after the start of a warm shutdown. The messages of unfinished tasks
    /// then return to the queue.
    pub drain_timeout: Duration,
    /// Longest time without a message while messages are ready and slots are free. After this time the worker
    /// reconnects, and is not ready until a message arrives or none is ready any more. Celery waits forever.
    pub progress_timeout: Duration,
}

impl WorkerConfig {
    /// Returns the configuration of a worker with this node name on the queue `celery`, with late acks and 100
    /// slots: async tasks wait more than they compute, so Celery's default of one slot per processor would leave
    /// the processors idle.
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

    /// Returns the queues to consume from, with their declarations.
    pub(crate) fn task_queues(&self) -> impl Iterator<Item = Queue> {
        let routes = self.routes();
        self.queues.iter().map(move |name| routes.queue(name))
    }

    /// Returns the queues to consume from and the known queues that are only sent to.
    pub(crate) fn all_queues(&self) -> Vec<Queue> {
        let mut all: Vec<Queue> = self.task_queues().collect();
        let others = self
            .known_queues
            .iter()
            .filter(|queue| !self.queues.contains(&queue.name));
        all.extend(others.cloned());
        all
    }

    /// Returns the routes for tasks that this worker sends.
    pub(crate) fn routes(&self) -> Routes {
        Routes::new(&self.default_queue, &self.known_queues)
    }

    /// Returns prefetch multiplier × concurrency; a value that does not fit into AMQP's 16 bits becomes 0, without
    /// limit (contract B.5).
    pub fn prefetch_count(&self) -> u16 {
        u16::try_from(self.prefetch_multiplier.saturating_mul(self.concurrency)).unwrap_or(0)
    }
}
