//! `rpc://`: results as messages to the caller's reply queue (`celery/backends/rpc.py`).

use celery_protocol::{FieldTable, Message, Properties};
use explain::explain;

use super::meta::Identity;
use crate::amqp::destination::Destination;
use crate::amqp::publisher::{PublishError, Publisher};
use crate::persistence::Persistence;

/// Sends replies until the broker confirms them.
pub(crate) struct RpcResults {
    publisher: Publisher,
    persistence: Persistence,
}

impl RpcResults {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            persistence: Persistence::new(
                "results cannot be sent (rpc://)",
                "messages stay unacked until it succeeds",
                "results are being sent again (rpc://)",
            ),
        }
    }

    /// Sends the state and result of a task to its caller. If the message names no reply queue, nothing is sent; if
    /// the queue no longer exists, the reply is dropped, as in Celery.
    pub(crate) async fn reply(&self, task: &Identity, meta: String) {
        let Some(reply_to) = task.reply_to.as_deref().filter(|queue| !queue.is_empty()) else {
            return;
        };
        let destination = Destination::exchange("", reply_to);
        let message = message(task, meta);
        let attempt = || self.publisher.publish(&destination, &message);
        if let Err(error) = self.persistence.until_done(attempt, PublishError::is_final).await {
            tracing::error!("the result of task {} is lost: {}", task.id, explain(&error));
        }
    }
}

/// Builds the reply as Celery does: transient, and with an empty table of headers.
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
    fn replies_carry_the_callers_correlation_id() {
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
