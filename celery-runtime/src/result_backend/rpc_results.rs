//! `rpc://`: results as messages to the caller's reply queue (`celery/backends/rpc.py`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use celery_protocol::{FieldTable, Message, Properties};

use super::meta::Identity;
use crate::destination::Destination;
use crate::publisher::Publisher;

/// Between two attempts: at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Replies that are sent until the broker holds them. Trouble is said once, and its end once.
pub(crate) struct RpcResults {
    publisher: Publisher,
    in_trouble: AtomicBool,
}

impl RpcResults {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            in_trouble: AtomicBool::new(false),
        }
    }

    /// Sends what a task has come to to whoever waits for it. Where nobody is named there is no reply; where the
    /// queue is gone it is dropped, as in Celery.
    pub(crate) async fn reply(&self, task: &Identity, meta: String) {
        let Some(reply_to) = task.reply_to.as_deref().filter(|queue| !queue.is_empty()) else {
            return;
        };
        let destination = Destination::exchange("", reply_to);
        let message = message(task, meta);
        let mut wait = WAIT.0;
        loop {
            match self.publisher.publish(&destination, &message).await {
                Ok(()) => return self.answered(),
                Err(error) if error.is_final() => {
                    return tracing::error!("the result of task {} is lost: {error}", task.id);
                }
                Err(error) => self.say(&error.to_string()),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT.1);
        }
    }

    fn say(&self, trouble: &str) {
        if !self.in_trouble.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "results cannot be sent (rpc://): {trouble}. Trying on; messages stay unacked until they can"
            );
        }
    }

    fn answered(&self) {
        if self.in_trouble.swap(false, Ordering::Relaxed) {
            tracing::info!("results are sent again (rpc://)");
        }
    }
}

/// As Celery sends it: transient, and with an empty table of headers.
fn message(task: &Identity, meta: String) -> Message {
    let correlation_id = task.correlation_id.as_deref().filter(|id| !id.is_empty());
    Message {
        properties: Properties {
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
            headers: FieldTable::new(),
            delivery_mode: Some(1),
            priority: Some(0),
            correlation_id: Some(correlation_id.unwrap_or(&task.id).to_owned()),
            ..Properties::default()
        },
        body: meta.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_known_by_what_the_caller_sent() {
        let task = Identity {
            id: "t".to_owned(),
            correlation_id: Some("c".to_owned()),
            ..Identity::default()
        };
        let properties = message(&task, "{}".to_owned()).properties;
        assert_eq!(properties.correlation_id.as_deref(), Some("c"));
        assert_eq!(
            (properties.delivery_mode, properties.priority),
            (Some(1), Some(0))
        );
        assert_eq!(properties.reply_to, None);
        let unnamed = Identity {
            correlation_id: None,
            ..task
        };
        assert_eq!(
            message(&unnamed, String::new())
                .properties
                .correlation_id
                .as_deref(),
            Some("t")
        );
    }
}
