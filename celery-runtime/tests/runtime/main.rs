//! The runtime on a real broker: its engine, what follows tasks, and their results.

mod after;
mod engine;
mod result_backend;

use std::time::Duration;

use celery_runtime::{Shutdown, Status, Worker};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Runs a worker and waits, no longer than `limit`, until it consumes.
async fn consuming(
    worker: Worker,
    shutdown: Shutdown,
    limit: Duration,
) -> (JoinSet<u8>, watch::Receiver<Status>) {
    let mut status = worker.status();
    let mut running = JoinSet::new();
    running.spawn(worker.run(shutdown));
    let consumes = status.wait_for(|status| *status == Status::Consuming);
    tokio::time::timeout(limit, consumes)
        .await
        .expect("the worker consumes in time")
        .expect("the worker is alive");
    (running, status)
}
