//! The supervisor: owns connection, channel and consumers, and rebuilds all three after any loss.

use explain::explain;
use tokio::sync::watch;

use super::config::WorkerConfig;
use super::consumer::{Consumer, End};
use super::link::Link;
use super::status::Status;
use crate::amqp::connection::{self, BrokerError};
use crate::shutdown::{Shutdown, Stage};
use crate::task::registry::Registry;

/// A Celery worker.
pub struct Worker {
    consumer: Consumer,
    config: WorkerConfig,
    status: watch::Sender<Status>,
}

impl Worker {
    /// Creates a worker that runs the tasks of `registry`. It does not connect before [`run`](Self::run).
    pub fn new(config: WorkerConfig, registry: Registry) -> Self {
        let status = watch::Sender::new(Status::Away("connecting".to_owned()));
        Self {
            consumer: Consumer::new(&config, registry, status.clone()),
            config,
            status,
        }
    }

    /// Returns a receiver for the worker's status, for health checks.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Empties the worker's queues, as `--purge` does before the start, and returns how many messages were erased.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses.
    pub async fn purge(&self) -> Result<u32, BrokerError> {
        Link::purge(&self.config).await
    }

    /// Consumes until `shutdown` is triggered, and returns the exit code. Lost connections are reopened, however
    /// long it takes; runs continue meanwhile (contract E.5).
    pub async fn run(mut self, mut shutdown: Shutdown) -> u8 {
        let mut attempt = 0;
        let mut was_ready = false;
        loop {
            let mut link = tokio::select! {
                link = self.open(&mut attempt) => link,
                stage = shutdown.reached(Stage::Warm) => return self.stop(stage, None, shutdown).await,
            };
            if !was_ready {
                tracing::info!("{} ready.", self.config.nodename);
                was_ready = true;
            }
            self.consumer.connected(&link);
            match self.consumer.consume(&mut link, &mut shutdown).await {
                End::Lost(reason) => {
                    tracing::warn!(
                        "consumer: Connection to broker lost. Trying to re-establish the connection... ({reason})"
                    );
                    self.status.send_replace(Status::Away(reason));
                }
                End::Stalled(reason) => {
                    tracing::warn!("consumer: {reason}. Reconnecting");
                    self.status.send_replace(Status::Stalled(reason));
                }
                End::Stopping(stage) => return self.stop(stage, Some(link), shutdown).await,
            }
            self.consumer.forget_deliveries();
            tokio::select! {
                () = link.close(connection::CLOSE_TIMEOUT) => {}
                _cold = shutdown.reached(Stage::Cold) => {}
            }
        }
    }

    async fn stop(self, stage: Stage, link: Option<Link>, mut shutdown: Shutdown) -> u8 {
        self.status.send_replace(Status::Stopping);
        self.consumer
            .stop(stage, link, &mut shutdown, self.config.drain_timeout)
            .await;
        shutdown.exit_code()
    }

    /// Retries until a link is open. The same reason is logged only once, not for each attempt.
    async fn open(&mut self, attempt: &mut usize) -> Link {
        loop {
            let error = match self.consumer.open(&self.config, *attempt).await {
                Ok(link) => {
                    *attempt = 0;
                    return link;
                }
                Err(error) => explain(&error),
            };
            *attempt += 1;
            let wait = connection::retry_wait(*attempt);
            let away = Status::Away(error.clone());
            if *self.status.borrow() != away {
                tracing::error!("consumer: {error}. Retrying until the broker answers");
            }
            self.status.send_replace(away);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.consumer.idle() => {}
            }
        }
    }
}
