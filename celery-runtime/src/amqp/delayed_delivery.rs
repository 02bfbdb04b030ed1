//! Native delayed delivery: quorum queues that release a message when it is due (contract E.4).
//!
//! A message that is due in n seconds carries n as binary digits in its routing key. Each level, from 27 to 0,
//! either holds the message for its power of two of seconds or passes it on at once, depending on its digit.

use celery_protocol::{FieldTable, IsoTime, TaskCall, iso8601};
use jiff::Timestamp;

use crate::amqp::declaration::Declaration;
use crate::amqp::destination::{Destination, RouteOptions, Routes};
use crate::amqp::queue::{ExchangeType, Queue};

const LEVELS: u32 = 28;

/// Longest delay in seconds: eight and a half years. If a message arrives before its ETA, the worker holds it.
const LONGEST: u32 = (1 << LEVELS) - 1;

/// The exchange that messages reach after their delay.
const DELIVERY: &str = "celery_delayed_delivery";

/// Returns the declarations of the levels' exchanges and queues, in kombu's order.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = Vec::new();
    for level in (0..LEVELS).rev() {
        let mut arguments = FieldTable::new();
        arguments.insert("x-queue-type", "quorum");
        arguments.insert("x-overflow", "reject-publish");
        arguments.insert("x-message-ttl", (1_i64 << level) * 1000);
        arguments.insert("x-dead-letter-exchange", next_name(level));
        arguments.insert("x-dead-letter-strategy", "at-least-once");
        all.extend([
            topic(name(level)),
            Declaration::Queue {
                name: name(level),
                arguments,
            },
            Declaration::QueueBinding {
                queue: name(level),
                exchange: name(level),
                routing_key: pattern(level, '1'),
            },
        ]);
    }
    for level in (0..LEVELS).rev() {
        if level == 0 {
            all.push(topic(DELIVERY.to_owned()));
        }
        all.push(Declaration::ExchangeBinding {
            destination: next_name(level),
            source: name(level),
            routing_key: pattern(level, '0'),
        });
    }
    all
}

/// Returns the bindings of a queue to the delivery exchange; none for a direct exchange, which cannot take part.
pub(crate) fn bindings(queue: &Queue) -> Vec<Declaration> {
    if queue.exchange_type == ExchangeType::Direct {
        tracing::warn!(
            "Exchange {} is a direct exchange and native delayed delivery do not support direct exchanges.\n\
             ETA tasks published to this exchange will block the worker until the ETA arrives.",
            queue.exchange
        );
        return Vec::new();
    }
    let routing_key = if queue.routing_key.starts_with('#') {
        queue.routing_key.clone()
    } else {
        format!("#.{}", queue.routing_key)
    };
    vec![
        Declaration::ExchangeBinding {
            destination: queue.exchange.clone(),
            source: DELIVERY.to_owned(),
            routing_key: routing_key.clone(),
        },
        Declaration::QueueBinding {
            queue: queue.name.clone(),
            exchange: queue.exchange.clone(),
            routing_key,
        },
    ]
}

/// Returns the whole seconds until the task is due, or `None` if that is less than one. Celery's producer cannot
/// send such a task; here it is sent without delay, and the worker that receives it holds it for the rest.
pub(crate) fn delay(call: &TaskCall, now: Timestamp) -> Option<u32> {
    let eta = iso8601::parse(call.eta.as_deref()?).ok()?.timestamp();
    // The countdown was added to the time in whole microseconds, too.
    let seconds = eta.duration_since(IsoTime::from(now).timestamp()).as_secs();
    (seconds >= 1).then(|| u32::try_from(seconds).unwrap_or(LONGEST).min(LONGEST))
}

/// Returns the destination of a task that is due in `delay` seconds, if there is a quorum queue and its exchange
/// can take part.
pub(crate) fn destination(routes: &Routes, route: RouteOptions<'_>, delay: u32) -> Option<Destination> {
    if !routes.has_quorum_queue() {
        return None;
    }
    if route.exchange != Some(DELIVERY) && routes.exchange_type(route) == ExchangeType::Direct {
        tracing::warn!(
            "Direct exchanges are not supported with native delayed delivery.\n\
             {} is a direct exchange but should be a topic exchange or a fanout exchange in order for native delayed \
             delivery to work properly.\n\
             If quorum queues are used, this task may block the worker process until the ETA arrives.",
            routes.queue_of(route).exchange
        );
        return None;
    }
    let queue = routes.queue_of(route);
    let key = route.routing_key.unwrap_or(&queue.routing_key);
    Some(Destination::exchange(name(LEVELS - 1), routing_key(delay, key)))
}

/// Implements kombu's `calculate_routing_key`. An earlier delay in the key is removed first.
fn routing_key(delay: u32, key: &str) -> String {
    let mut delayed = String::new();
    for level in (0..LEVELS).rev() {
        delayed.push(if delay >> level & 1 == 1 { '1' } else { '0' });
        delayed.push('.');
    }
    delayed + without_delay(key)
}

/// Returns the key without the digits of a delay.
pub(crate) fn without_delay(key: &str) -> &str {
    let digits = 2 * LEVELS as usize;
    match key.split_at_checked(digits) {
        Some((delay, rest))
            if delay
                .as_bytes()
                .chunks(2)
                .all(|digit| matches!(digit, b"0." | b"1.")) =>
        {
            rest
        }
        _ => key,
    }
}

fn name(level: u32) -> String {
    format!("celery_delayed_{level}")
}

fn next_name(level: u32) -> String {
    level.checked_sub(1).map_or_else(|| DELIVERY.to_owned(), name)
}

/// Returns the binding pattern: any digits for the levels above, then this level's digit.
fn pattern(level: u32, digit: char) -> String {
    let any = "*.".repeat((LEVELS - 1 - level) as usize);
    format!("{any}{digit}.#")
}

fn topic(name: String) -> Declaration {
    Declaration::Exchange {
        name,
        kind: ExchangeType::Topic,
    }
}

#[cfg(test)]
mod tests;
