//! Queues and their exchanges: Celery's `task_queues` (contract A.1, B.3).

use celery_protocol::{FieldTable, FieldValue};

/// A queue for tasks, and how it is declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// The queue's name.
    pub name: String,
    /// The exchange that the queue is bound to; `""` for the default exchange, which needs no binding.
    pub exchange: String,
    /// The type of that exchange.
    pub exchange_type: ExchangeType,
    /// The routing key of the binding.
    pub routing_key: String,
    /// The queue's arguments, such as `x-max-priority`. They apply when the queue is created; an existing queue is
    /// used as it is.
    pub arguments: FieldTable,
}

/// The exchange types of AMQP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeType {
    /// Routes by a routing key that equals the binding's key.
    Direct,
    /// Routes by a pattern, the binding's key.
    Topic,
    /// Routes to every bound queue.
    Fanout,
    /// Routes by the headers.
    Headers,
}

impl Queue {
    /// Returns the queue that Celery derives from a name: a durable classic queue with a direct exchange and a key
    /// of the same name.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            exchange: name.clone(),
            exchange_type: ExchangeType::Direct,
            routing_key: name.clone(),
            name,
            arguments: FieldTable::new(),
        }
    }

    /// Returns the queue bound to another exchange.
    #[must_use]
    pub fn on_exchange(
        self,
        exchange: impl Into<String>,
        exchange_type: ExchangeType,
        routing_key: impl Into<String>,
    ) -> Self {
        Self {
            exchange: exchange.into(),
            exchange_type,
            routing_key: routing_key.into(),
            ..self
        }
    }

    /// Returns the queue with priorities from 0 to `highest` (`x-max-priority`, Celery's
    /// `task_queue_max_priority`).
    #[must_use]
    pub fn with_max_priority(self, highest: u8) -> Self {
        self.with_argument("x-max-priority", i64::from(highest))
    }

    /// Returns the queue as a quorum queue (`task_default_queue_type`).
    #[must_use]
    pub fn quorum(self) -> Self {
        self.with_argument("x-queue-type", "quorum")
    }

    /// Returns the queue with another argument.
    #[must_use]
    pub fn with_argument(mut self, name: &str, value: impl Into<FieldValue>) -> Self {
        self.arguments.insert(name, value);
        self
    }

    /// Returns whether the queue is declared as a quorum queue, by Celery's own criterion.
    pub fn is_quorum(&self) -> bool {
        self.arguments.get("x-queue-type").and_then(FieldValue::as_str) == Some("quorum")
    }
}

impl ExchangeType {
    /// Returns the type's name in AMQP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Topic => "topic",
            Self::Fanout => "fanout",
            Self::Headers => "headers",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Direct, Self::Topic, Self::Fanout, Self::Headers]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}
