//! Queues and their exchanges: Celery's `task_queues` (contract A.1, B.3).

use celery_protocol::{FieldTable, FieldValue};

/// A queue that tasks go to, and how it is declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// The exchange it is bound to; `""` for the default exchange, which needs no binding.
    pub exchange: String,
    /// What kind of exchange that is.
    pub exchange_type: ExchangeType,
    /// The key it is bound with.
    pub routing_key: String,
    /// Its arguments, such as `x-max-priority`. They count when the queue is made; one that exists is used as it
    /// is.
    pub arguments: FieldTable,
}

/// The kinds of exchange that AMQP knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeType {
    /// The routing key is the key of the binding.
    Direct,
    /// The key of the binding is a pattern.
    Topic,
    /// Every bound queue gets the message.
    Fanout,
    /// The headers decide.
    Headers,
}

impl Queue {
    /// A queue as Celery makes one up from a name: a durable classic queue with a direct exchange and a key of the
    /// same name.
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

    /// The same on another exchange.
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

    /// The same with priorities from 0 to `highest` (`x-max-priority`, Celery's `task_queue_max_priority`).
    #[must_use]
    pub fn with_max_priority(self, highest: u8) -> Self {
        self.with_argument("x-max-priority", i64::from(highest))
    }

    /// The same as a quorum queue (`task_default_queue_type`).
    #[must_use]
    pub fn quorum(self) -> Self {
        self.with_argument("x-queue-type", "quorum")
    }

    /// The same with one argument more.
    #[must_use]
    pub fn with_argument(mut self, name: &str, value: impl Into<FieldValue>) -> Self {
        self.arguments.insert(name, value);
        self
    }

    /// Whether it is declared as a quorum queue, as Celery finds out.
    pub fn is_quorum(&self) -> bool {
        self.arguments.get("x-queue-type").and_then(FieldValue::as_str) == Some("quorum")
    }
}

impl ExchangeType {
    /// The name that AMQP has for it.
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
