//! A worker in this process, and the reports of its tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use celery_protocol::{TaskCall, Value};
use celery_runtime::{
    BrokerUrl, Producer, ProducerConfig, Registry, Shutdown, ShutdownHandle, Status, TaskError, TaskOptions,
    Worker, WorkerConfig, sender,
};
use harness::{Depth, Vhost, eventually};
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::consuming;

/// Limit for events that must happen eventually, also on a busy machine.
pub(crate) const WAIT: Duration = Duration::from_mins(1);

/// A worker in this process whose tasks report their runs.
pub(crate) struct Rig {
    pub(crate) vhost: Vhost,
    pub(crate) producer: Producer,
    pub(crate) runs: mpsc::UnboundedReceiver<(String, Timestamp)>,
    pub(crate) stop: ShutdownHandle,
    pub(crate) worker: JoinSet<u8>,
    pub(crate) sleeping: Arc<AtomicUsize>,
    /// Lets runs of `demo.gate` end, one per permit.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) status: watch::Receiver<Status>,
}

impl Rig {
    pub(crate) async fn start(vhost: Vhost, set: impl FnOnce(&mut WorkerConfig)) -> Self {
        let broker: BrokerUrl = vhost.amqp_url().parse().expect("a broker URL");
        let (report, runs) = mpsc::unbounded_channel();
        let sleeping = Arc::new(AtomicUsize::new(0));
        let mut registry = Registry::new();
        let echoed = report.clone();
        registry.register(TaskOptions::named("demo.echo"), move |request| {
            let _test_over = echoed.send((request.id().to_owned(), Timestamp::now()));
            async { Ok(Value::None) }
        });
        registry.register(TaskOptions::named("demo.panic"), |_| async {
            panic!("on purpose")
        });
        let tried = report.clone();
        registry.register(TaskOptions::named("demo.reject_once"), move |request| {
            let _test_over = tried.send((request.id().to_owned(), Timestamp::now()));
            async move {
                if request.redelivered() {
                    return Ok(Value::None);
                }
                Err(TaskError::Reject {
                    requeue: true,
                    reason: "once".to_owned(),
                })
            }
        });
        let gate = Arc::new(Semaphore::new(0));
        let (counter, gated, passed) = (Arc::clone(&sleeping), Arc::clone(&gate), report.clone());
        registry.register(TaskOptions::named("demo.gate"), move |request| {
            let (counter, gate, report) = (Arc::clone(&counter), Arc::clone(&gated), passed.clone());
            async move {
                counter.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.expect("the gate is open").forget();
                let _test_over = report.send((request.id().to_owned(), Timestamp::now()));
                Ok(Value::None)
            }
        });
        let counter = Arc::clone(&sleeping);
        registry.register(TaskOptions::named("demo.sleep"), move |request| {
            let (counter, report) = (Arc::clone(&counter), report.clone());
            async move {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1500)).await;
                let _test_over = report.send((request.id().to_owned(), Timestamp::now()));
                Ok(Value::None)
            }
        });
        let mut config = WorkerConfig::new(broker.clone(), "celery@rig");
        set(&mut config);
        let producer = Producer::start(ProducerConfig {
            broker,
            queue: "celery".to_owned(),
            deadline: WAIT,
            name: "rig".to_owned(),
        });
        let (stop, shutdown) = Shutdown::manual();
        let worker = Worker::new(config, registry);
        let (running, status) = consuming(worker, shutdown, WAIT).await;
        Self {
            vhost,
            producer,
            runs,
            stop,
            worker: running,
            sleeping,
            gate,
            status,
        }
    }

    pub(crate) fn call(task: &str) -> TaskCall {
        TaskCall::new(task, Uuid::new_v4().to_string(), sender())
    }

    pub(crate) async fn send(&self, call: &TaskCall) -> String {
        self.producer.send(call).await.expect("the broker accepts it");
        call.id.clone()
    }

    /// Waits until the worker has a status that `wanted` accepts.
    pub(crate) async fn status_is(&mut self, wanted: impl FnMut(&Status) -> bool) -> Status {
        let seen = tokio::time::timeout(WAIT, self.status.wait_for(wanted));
        seen.await.expect("in time").expect("the worker is alive").clone()
    }

    /// Waits for the next run that a task reports.
    pub(crate) async fn run(&mut self) -> (String, Timestamp) {
        tokio::time::timeout(WAIT, self.runs.recv())
            .await
            .expect("a run in time")
            .expect("the worker is alive")
    }

    /// Waits until `count` runs of `demo.gate` and `demo.sleep` have started.
    pub(crate) async fn started(&self, count: usize) {
        eventually(format!("{count} runs to start"), WAIT, || async {
            match self.sleeping.load(Ordering::SeqCst) {
                started if started == count => Ok(()),
                started => Err(format!("{started} have started")),
            }
        })
        .await;
    }

    pub(crate) async fn queue_is(&self, ready: u64, unacked: u64) {
        eventually(format!("{ready} ready and {unacked} unacked"), WAIT, || async {
            match self.vhost.queue("celery").await {
                depth @ Depth { .. } if (depth.ready, depth.unacked) == (ready, unacked) => Ok(()),
                depth => Err(format!("{depth:?}")),
            }
        })
        .await;
    }

    pub(crate) async fn stopped(mut self) -> u8 {
        self.stop.warm();
        self.ended().await
    }

    /// Waits for the end of a worker that was stopped, and returns its exit code.
    pub(crate) async fn ended(&mut self) -> u8 {
        let ended = tokio::time::timeout(WAIT, self.worker.join_next())
            .await
            .expect("an end in time");
        ended.expect("a worker").expect("no panic in the worker")
    }
}
