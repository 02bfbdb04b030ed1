//! Workers with the demo's tasks, in Python and in Rust.

use std::time::Duration;

use harness::{Process, Redis, Vhost};

use crate::venv;

/// Importing Celery takes a second, but several times as long on a busy machine.
pub(crate) const START: Duration = Duration::from_mins(3);

/// Starts the Rust worker and waits until it consumes.
pub(crate) async fn rust_worker(vhost: &Vhost) -> Process {
    let broker = vhost.amqp_url();
    let arguments = [broker.as_str(), "rust@localhost"];
    let worker = Process::spawn(env!("CARGO_BIN_EXE_demo-worker"), arguments, [("", ""); 0]);
    worker.wait_for_line(" ready.", START).await;
    worker
}

/// Starts a Python worker with one pool process and waits until it consumes.
pub(crate) async fn python_worker(version: &str, vhost: &Vhost) -> Process {
    let arguments = [
        "-A",
        "opsapp",
        "worker",
        "--loglevel=INFO",
        "--concurrency=1",
        "--task-events",
        "--hostname=python@localhost",
        "--without-mingle",
        "--without-gossip",
    ];
    let variables = [("BROKER_URL", vhost.amqp_url())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let worker = venv::spawn(version, "celery", &arguments, &variables);
    worker.wait_for_line(" ready.", START).await;
    worker
}

/// The location of the result backend.
pub(crate) struct Results(String);

impl Results {
    pub(crate) fn redis(redis: &Redis) -> Self {
        Self(format!("redis://127.0.0.1:{}/0", redis.port()))
    }

    pub(crate) fn rpc() -> Self {
        Self("rpc://".to_owned())
    }
}

/// The variables that the demo's Python programs read.
pub(crate) fn variables(vhost: &Vhost, results: &Results) -> [(&'static str, String); 2] {
    [
        ("BROKER_URL", vhost.amqp_url()),
        ("RESULT_BACKEND", results.0.clone()),
    ]
}

/// Starts the Rust worker on its own queue, with results.
pub(crate) async fn rust_worker_on(vhost: &Vhost, queue: &str, results: &Results) -> Process {
    let broker = vhost.amqp_url();
    let arguments = [broker.as_str(), "rust@localhost", queue, &results.0];
    let worker = Process::spawn(env!("CARGO_BIN_EXE_demo-worker"), arguments, [("", ""); 0]);
    worker.wait_for_line(" ready.", START).await;
    worker
}

/// Starts a Python worker with one pool process on these queues, with results.
pub(crate) async fn python_worker_on(
    version: &str,
    vhost: &Vhost,
    queues: &str,
    results: &Results,
) -> Process {
    let arguments = [
        "-A",
        "opsapp",
        "worker",
        "--loglevel=INFO",
        "--concurrency=1",
        "--hostname=python@localhost",
        "-Q",
        queues,
    ];
    let variables = variables(vhost, results);
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let worker = venv::spawn(version, "celery", &arguments, &variables);
    worker.wait_for_line(" ready.", START).await;
    worker
}
