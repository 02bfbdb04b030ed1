//! The worker's own way out: messages that are sent until the broker holds them.

use std::error::Error;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::canvas::Publication;
use crate::publisher::{PublishError, Publisher, PublisherConfig};
use crate::worker::WorkerConfig;

/// Between two attempts: at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long the broker may take to confirm before the connection counts as dead.
const DEADLINE: Duration = Duration::from_secs(10);

/// Sends what follows tasks, over one connection that the first message opens. Trouble is said once, and its end.
pub(crate) struct Outbox {
    config: PublisherConfig,
    publisher: OnceLock<Publisher>,
    in_trouble: AtomicBool,
}

impl Outbox {
    pub(crate) fn new(config: &WorkerConfig) -> Self {
        Self {
            config: PublisherConfig {
                broker: config.broker.clone(),
                name: config.nodename.clone(),
                queue: None,
                deadline: DEADLINE,
            },
            publisher: OnceLock::new(),
            in_trouble: AtomicBool::new(false),
        }
    }

    /// The connection, for whatever else goes out by it.
    pub(crate) fn publisher(&self) -> &Publisher {
        self.publisher
            .get_or_init(|| Publisher::start(self.config.clone()))
    }

    /// Returns when the broker has confirmed the message, however long it is away. What is not known to be held is
    /// sent again, under the same id: it may arrive twice, but it arrives.
    ///
    /// # Errors
    /// Only what no further attempt can mend.
    pub(crate) async fn send(&self, publication: &Publication) -> Result<(), PublishError> {
        let message = publication.call.encode();
        let mut wait = WAIT.0;
        loop {
            match self.publisher().publish(&publication.destination, &message).await {
                Ok(()) => {
                    if self.in_trouble.swap(false, Ordering::Relaxed) {
                        tracing::info!("what follows tasks is sent again");
                    }
                    return Ok(());
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => self.say(&error),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT.1);
        }
    }

    fn say(&self, error: &PublishError) {
        if self.in_trouble.swap(true, Ordering::Relaxed) {
            return;
        }
        let source = error
            .source()
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        tracing::error!(
            "what follows tasks cannot be sent: {error}{source}. Trying on; their messages stay unacked until it is"
        );
    }

    /// Ends the connection, if there is one.
    pub(crate) async fn close(&self) {
        if let Some(publisher) = self.publisher.get() {
            publisher.close().await;
        }
    }
}
