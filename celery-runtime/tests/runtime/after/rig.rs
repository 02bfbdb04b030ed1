//! A worker in this process whose tasks report their runs, with Python programs as peers.

use std::sync::Arc;
use std::time::Duration;

use celery_protocol::{TaskCall, TaskMessage, Value};
use celery_runtime::{
    DeliveryInfo, Exception, Producer, ProducerConfig, RateLimit, Registry, Request, Shutdown,
    ShutdownHandle, TaskError, TaskOptions, TaskResult, Worker, WorkerConfig, sender,
};
use harness::{Depth, Process, Vhost, eventually, python};
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::log;
use crate::consuming;

/// Limit for events that must happen eventually, also on a busy machine.
pub(crate) const WAIT: Duration = Duration::from_mins(2);

/// A run, as reported by its task.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) message: TaskMessage,
    pub(crate) delivery: DeliveryInfo,
    pub(crate) at: Timestamp,
}

impl Seen {
    pub(crate) fn args(&self) -> &[Value] {
        self.message.positional().expect("a list of arguments")
    }
}

pub(crate) struct Rig {
    pub(crate) vhost: Vhost,
    pub(crate) producer: Producer,
    pub(crate) stop: ShutdownHandle,
    /// Lets runs of `demo.gate` end, one per permit.
    pub(crate) gate: Arc<Semaphore>,
    runs: mpsc::UnboundedReceiver<Seen>,
    worker: JoinSet<u8>,
}

impl Rig {
    pub(crate) async fn start(vhost: Vhost, set: impl FnOnce(&mut WorkerConfig)) -> Self {
        let url = vhost.amqp_url();
        Self::start_at(vhost, url, set).await
    }

    /// Starts a rig whose worker connects to the broker with this URL.
    pub(crate) async fn start_at(vhost: Vhost, url: String, set: impl FnOnce(&mut WorkerConfig)) -> Self {
        log::keep();
        let mut config = WorkerConfig::new(url.parse().expect("a broker URL"), "celery@rig");
        config.drain_timeout = Duration::from_secs(5);
        set(&mut config);
        let queue = config.queues[0].clone();
        let (report, runs) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let (stop, shutdown) = Shutdown::manual();
        let worker = Worker::new(config, tasks(&report, &gate));
        let (running, _status) = consuming(worker, shutdown, WAIT).await;
        // It must not start before the worker, which declares the queue with the right attributes.
        let producer = Producer::start(ProducerConfig {
            broker: vhost.amqp_url().parse().expect("a broker URL"),
            queue,
            deadline: WAIT,
            name: "rig".to_owned(),
        });
        Self {
            vhost,
            producer,
            stop,
            gate,
            runs,
            worker: running,
        }
    }

    /// Waits for the next run that a task reports.
    pub(crate) async fn run(&mut self) -> Seen {
        tokio::time::timeout(WAIT, self.runs.recv())
            .await
            .expect("a run in time")
            .expect("the worker is alive")
    }

    /// Waits for the next run of this task.
    pub(crate) async fn run_of(&mut self, task: &str) -> Seen {
        loop {
            let seen = self.run().await;
            if seen.message.task == task {
                return seen;
            }
        }
    }

    /// Asserts that no task runs for a while.
    pub(crate) async fn nothing_runs_for(&mut self, time: Duration) {
        if let Ok(seen) = tokio::time::timeout(time, self.runs.recv()).await {
            panic!("{seen:?}");
        }
    }

    pub(crate) async fn queue_is(&self, queue: &str, ready: u64, unacked: u64) {
        eventually(
            format!("{ready} ready and {unacked} unacked in {queue}"),
            WAIT,
            || async {
                match self.vhost.find_queue(queue).await {
                    Some(Depth {
                        ready: r, unacked: u, ..
                    }) if (r, u) == (ready, unacked) => Ok(()),
                    depth => Err(format!("{depth:?}")),
                }
            },
        )
        .await;
    }

    /// Waits for a log line that contains both texts.
    pub(crate) async fn logged(&self, text: &str, with: &str) -> String {
        eventually(format!("a line with {text} and {with}"), WAIT, || async {
            let lines = log::lines(text);
            let found = lines.iter().find(|line| line.contains(with)).cloned();
            found.ok_or_else(|| format!("{lines:?}"))
        })
        .await
    }

    /// Runs a Python program that can use the tasks of `tasks.py`, and returns its output.
    pub(crate) async fn python(&self, program: &str) -> String {
        let program = format!("from tasks import *\n{program}");
        let broker = self.vhost.amqp_url();
        python::python(&program, &[("PYTHONPATH", DIRECTORY), ("BROKER", &broker)]).await
    }

    /// Starts a Python worker with the tasks of `tasks.py` on this queue.
    pub(crate) async fn python_worker(&self, queue: &str) -> Process {
        let worker = python::spawn(
            "celery",
            &[
                "-A",
                "tasks",
                "worker",
                "-P",
                "solo",
                "-Q",
                queue,
                "-l",
                "INFO",
                "-n",
                "celery@python",
            ],
            &[("PYTHONPATH", DIRECTORY), ("BROKER", &self.vhost.amqp_url())],
        );
        worker.wait_for_line(" ready.", WAIT).await;
        worker
    }

    pub(crate) fn call(task: &str, args: Vec<Value>) -> TaskCall {
        TaskCall::new(task, Uuid::new_v4().to_string(), sender()).with_args(args)
    }

    pub(crate) async fn send(&self, call: &TaskCall) -> String {
        self.producer.send(call).await.expect("the broker accepts it");
        call.id.clone()
    }

    /// Stops the worker warmly. The queue shows whether everything was settled by then.
    pub(crate) async fn stopped(mut self) -> Vhost {
        self.stop.warm();
        let ended = tokio::time::timeout(WAIT, self.worker.join_next())
            .await
            .expect("an end in time");
        assert_eq!(ended.expect("a worker").expect("no panic in the worker"), 0);
        self.producer.close().await;
        self.vhost
    }
}

/// The directory of `tasks.py`.
pub(crate) const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runtime/after");

pub(crate) async fn vhost(name: &str) -> Vhost {
    harness::Broker::shared().await.vhost(name).await
}

fn tasks(report: &mpsc::UnboundedSender<Seen>, gate: &Arc<Semaphore>) -> Registry {
    let mut registry = Registry::new();
    let mut add = |options: TaskOptions, task: fn(Request) -> TaskResult| {
        let report = report.clone();
        registry.register(options, move |request| {
            seen(&report, &request);
            async move { task(request) }
        });
    };
    let named = TaskOptions::named;
    add(named("demo.echo"), |_| Ok(Value::None));
    add(named("demo.add"), |request| {
        let number = |index: usize| {
            let args = request.message().positional().unwrap_or_default();
            args.get(index).and_then(Value::as_i64)
        };
        match (number(0), number(1)) {
            (Some(x), Some(y)) => Ok(Value::from(x + y)),
            _ => Err(TaskError::raised("TypeError", "demo.add takes two numbers")),
        }
    });
    add(named("demo.fail"), |_| {
        Err(TaskError::raised("ValueError", "boom"))
    });
    add(named("demo.reject"), |_| {
        Err(TaskError::Reject {
            requeue: false,
            reason: "no thanks".to_owned(),
        })
    });
    let known = TaskOptions {
        throws: vec!["Exp".to_owned()],
        ..named("demo.known")
    };
    add(known, |_| Err(TaskError::raised("Exp", "known")));
    let flaky = |request: Request| match request.message().retries {
        2.. => Ok(Value::None),
        _ => Err(request
            .retry(Exception::new("KeyError", "again"))
            .after(Duration::from_secs(1))
            .into()),
    };
    add(named("demo.retry"), flaky);
    let limited = TaskOptions {
        rate_limit: RateLimit::per_second(2.0),
        ..named("demo.limited")
    };
    add(limited, |_| Ok(Value::None));
    let hourly = TaskOptions {
        rate_limit: RateLimit::per_second(1.0 / 3600.0),
        ..named("demo.hourly")
    };
    add(hourly, |_| Ok(Value::None));
    add(named("shared.flaky"), |request| {
        Err(request
            .retry(Exception::new("KeyError", "elsewhere"))
            .after(Duration::ZERO)
            .into())
    });

    let entered = report.clone();
    let gate = Arc::clone(gate);
    registry.register(named("demo.gate"), move |request| {
        seen(&entered, &request);
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.expect("the gate is open").forget();
            Ok(Value::None)
        }
    });
    let slept = report.clone();
    registry.register(named("demo.sleep"), move |request| {
        seen(&slept, &request);
        async move {
            tokio::select! {
                () = request.soft_time_limit().cancelled() => Err(TaskError::soft_time_limit_exceeded()),
                () = tokio::time::sleep(WAIT) => Ok(Value::None),
            }
        }
    });
    let slept = report.clone();
    registry.register(named("demo.deaf"), move |request| {
        seen(&slept, &request);
        async move { std::future::pending().await }
    });
    registry
}

fn seen(report: &mpsc::UnboundedSender<Seen>, request: &Request) {
    let _test_over = report.send(Seen {
        message: request.message().clone(),
        delivery: request.delivery_info().clone(),
        at: Timestamp::now(),
    });
}
