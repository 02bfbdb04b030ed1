//! Destinations of messages (contract A.1).

use crate::amqp::queue::{ExchangeType, Queue};

/// An exchange and a routing key, and the queue that must exist first.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// The exchange; `""` is the default exchange.
    pub exchange: String,
    /// The routing key; for the default exchange, the name of the queue.
    pub routing_key: String,
    /// The queue to declare first, once per connection. If it is set, a message that reaches no queue is an error.
    pub declare: Option<Queue>,
}

/// The queues that an application configures by name: `task_default_queue` and `task_queues`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Routes {
    default_queue: String,
    queues: Vec<Queue>,
}

/// Celery's call options `queue`, `exchange`, `exchange_type` and `routing_key`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RouteOptions<'o> {
    pub(crate) queue: Option<&'o str>,
    pub(crate) exchange: Option<&'o str>,
    pub(crate) exchange_type: Option<&'o str>,
    pub(crate) routing_key: Option<&'o str>,
}

impl Destination {
    /// Returns the destination of a queue: through the default exchange if its own exchange is a direct one, as in
    /// Celery.
    pub fn queue(queue: Queue) -> Self {
        let (exchange, routing_key) = match queue.exchange_type {
            ExchangeType::Direct => (String::new(), queue.name.clone()),
            _ => (queue.exchange.clone(), queue.routing_key.clone()),
        };
        Self {
            exchange,
            routing_key,
            declare: Some(queue),
        }
    }

    /// Returns an exchange, which others have declared, as a destination. If no queue is bound to it, messages are
    /// dropped, as in Celery.
    pub fn exchange(exchange: impl Into<String>, routing_key: impl Into<String>) -> Self {
        Self {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            declare: None,
        }
    }
}

impl Routes {
    pub(crate) fn new(default_queue: &str, queues: &[Queue]) -> Self {
        Self {
            default_queue: default_queue.to_owned(),
            queues: queues.to_vec(),
        }
    }

    /// Returns the queue with this name, as configured or with the attributes that Celery gives it by default.
    pub(crate) fn queue(&self, name: &str) -> Queue {
        self.queues
            .iter()
            .find(|queue| queue.name == name)
            .cloned()
            .unwrap_or_else(|| Queue::named(name))
    }

    /// Returns the queue whose declaration and exchange type apply to these options.
    pub(crate) fn queue_of(&self, options: RouteOptions<'_>) -> Queue {
        self.queue(options.queue.unwrap_or(&self.default_queue))
    }

    /// Returns the type of the exchange that these options select.
    pub(crate) fn exchange_type(&self, options: RouteOptions<'_>) -> ExchangeType {
        let of_exchange = options.exchange.and_then(|exchange| {
            let bound = self.queues.iter().find(|queue| queue.exchange == exchange);
            bound.map(|queue| queue.exchange_type)
        });
        options
            .exchange_type
            .and_then(ExchangeType::from_name)
            .or(of_exchange)
            .unwrap_or_else(|| self.queue_of(options).exchange_type)
    }

    /// Returns whether there is a quorum queue, which turns native delayed delivery on (contract E.4).
    pub(crate) fn has_quorum_queue(&self) -> bool {
        self.queues.iter().any(Queue::is_quorum)
    }

    /// Implements Celery's `Router.route` and `send_task_message`: a task for a direct queue goes through the
    /// default exchange, whatever the key; an exchange and a key together take precedence.
    pub(crate) fn destination(&self, options: RouteOptions<'_>) -> Destination {
        let queue = self.queue_of(options);
        let kind = options
            .exchange_type
            .and_then(ExchangeType::from_name)
            .unwrap_or(queue.exchange_type);
        let exchange = options.exchange.filter(|exchange| !exchange.is_empty());
        let routing_key = options.routing_key.filter(|key| !key.is_empty());
        match (exchange, routing_key) {
            (Some(exchange), Some(key)) => Destination::exchange(exchange, key),
            _ if kind == ExchangeType::Direct => Destination {
                exchange: String::new(),
                routing_key: queue.name.clone(),
                declare: Some(queue),
            },
            (Some(exchange), None) => Destination::exchange(exchange, ""),
            (None, key) => Destination {
                exchange: queue.exchange.clone(),
                routing_key: key.unwrap_or(&queue.routing_key).to_owned(),
                declare: Some(queue),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of contract A.1.
    #[test]
    fn options_select_the_same_destination_as_in_celery() {
        let topic = Queue::named("qt").on_exchange("events", ExchangeType::Topic, "task.#");
        let routes = Routes::new("celery", std::slice::from_ref(&topic));
        let to = |options| routes.destination(options);
        let none = RouteOptions::default();
        let celery = Destination {
            exchange: String::new(),
            routing_key: "celery".to_owned(),
            declare: Some(Queue::named("celery")),
        };
        assert_eq!(to(none), celery);
        let hipri = to(RouteOptions {
            queue: Some("hipri"),
            ..none
        });
        assert_eq!(hipri, Destination::queue(Queue::named("hipri")));
        assert_eq!(
            (hipri.exchange.as_str(), hipri.routing_key.as_str()),
            ("", "hipri")
        );
        let key_alone = RouteOptions {
            routing_key: Some("some.key"),
            ..none
        };
        assert_eq!(to(key_alone), celery);
        let both = RouteOptions {
            exchange: Some("celery"),
            routing_key: Some("celery"),
            ..none
        };
        assert_eq!(to(both), Destination::exchange("celery", "celery"));
        let to_topic = |routing_key| {
            to(RouteOptions {
                queue: Some("qt"),
                routing_key,
                ..none
            })
        };
        assert_eq!(to_topic(None), Destination::queue(topic.clone()));
        let expected = Destination {
            exchange: "events".to_owned(),
            routing_key: "task.a".to_owned(),
            declare: Some(topic),
        };
        assert_eq!(to_topic(Some("task.a")), expected);
    }
}
