//! How a worker is configured.

use std::time::Duration;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::destination::Routes;
use crate::amqp::queue::Queue;
use crate::result_backend::ResultBackend;

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
