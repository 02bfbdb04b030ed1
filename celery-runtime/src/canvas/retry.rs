//! The message of a retry: Celery's `Task.signature_from_request`.

use celery_protocol::{FieldTable, FieldValue, IsoTime, TaskCall};

use super::call::set_expires_at;
use super::context::Canvas;
use super::plan::Publication;
use crate::amqp::delayed_delivery;
use crate::amqp::destination::{Destination, RouteOptions};
use crate::task::outcome::When;
use crate::task::request::DeliveryInfo;

/// Headers that are built again for the message; all others are the caller's own.
const OWN_HEADERS: [&str; 34] = [
    "argsrepr",
    "callbacks",
    "called_directly",
    "chain",
    "chord",
    "compression",
    "correlation_id",
    "delivery_info",
    "errbacks",
    "eta",
    "expires",
    "group",
    "group_index",
    "headers",
    "hostname",
    "id",
    "ignore_result",
    "is_eager",
    "kwargsrepr",
    "lang",
    "origin",
    "parent_id",
    "properties",
    "replaced_task_nesting",
    "reply_to",
    "retries",
    "root_id",
    "shadow",
    "stamped_headers",
    "stamps",
    "task",
    "taskset",
    "timelimit",
    "utc",
];

pub(super) fn publication(canvas: &Canvas<'_>, delivery: &DeliveryInfo, when: When) -> Publication {
    let message = canvas.parent;
    let mut call = TaskCall::new(&message.task, message.id.as_str(), canvas.sender)
        .with_args(message.positional().unwrap_or_default().to_vec())
        .with_kwargs(message.keywords().cloned().unwrap_or_default());
    call.embed = message.embed.clone();
    call.shadow.clone_from(&message.shadow);
    call.group.clone_from(&message.group);
    call.group_index = message.group_index;
    call.retries = message.retries + 1;
    call.timelimit = message.timelimit;
    call.root_id = Some(canvas.root_id().to_owned());
    let parent_id = message.parent_id.clone().filter(|parent| !parent.is_empty());
    call.parent_id = Some(parent_id.unwrap_or_else(|| message.id.clone()));
    if let Some(origin) = &message.origin {
        call.origin.clone_from(origin);
    }
    if let Some(reply_to) = message.reply_to.as_ref().filter(|queue| !queue.is_empty()) {
        call.reply_to.clone_from(reply_to);
    }
    let known = canvas.tasks.get(&message.task).map(|task| task.options());
    call.ignore_result = message
        .ignore_result
        .or_else(|| known.map(|task| task.ignore_result));
    call.replaced_task_nesting = message.replaced_task_nesting;
    if !message.stamped_headers.is_empty() {
        call.stamped_headers = Some(message.stamped_headers.clone());
        call.stamps = stamps(&message.stamped_headers, &message.stamps);
    }
    call.priority = message.priority;
    call.headers = custom_headers(&message.headers);
    match when {
        When::In(delay) => call = call.with_countdown(delay.as_secs_f64(), canvas.now),
        When::At(eta) => call.eta = Some(IsoTime::from(eta).isoformat()),
    }
    if let Some(expires) = &message.expires {
        let raw = message.headers.get("expires").and_then(FieldValue::as_str);
        let text = raw.map_or_else(|| expires.isoformat(), str::to_owned);
        // This text has already been parsed once, so it parses again.
        let _ = set_expires_at(&mut call, text, canvas.now);
    }
    let delay = delayed_delivery::delay(&call, canvas.now);
    let destination = destination(canvas, delivery, delay);
    if call.priority.is_none() && !delivery.exchange.is_empty() {
        call.priority = Some(0);
    }
    Publication { destination, call }
}

/// Returns the place that the message came from: its queue, or its exchange and key.
fn destination(canvas: &Canvas<'_>, delivery: &DeliveryInfo, delay: Option<u32>) -> Destination {
    let key = delayed_delivery::without_delay(&delivery.routing_key);
    let route = if delivery.exchange.is_empty() {
        RouteOptions {
            queue: Some(key),
            ..RouteOptions::default()
        }
    } else {
        RouteOptions {
            exchange: Some(&delivery.exchange),
            routing_key: Some(key),
            ..RouteOptions::default()
        }
    };
    delay
        .and_then(|delay| delayed_delivery::destination(canvas.routes, route, delay))
        .unwrap_or_else(|| canvas.routes.destination(route))
}

fn stamps(names: &[String], stamps: &FieldTable) -> FieldTable {
    names
        .iter()
        .filter_map(|name| Some((name.as_str(), stamps.get(name)?.clone())))
        .collect()
}

/// Returns the caller's own headers, without those of dead-lettering: from them RabbitMQ detects messages that go
/// round in circles, and drops them.
fn custom_headers(headers: &FieldTable) -> FieldTable {
    let is_death = |name: &str| {
        ["x-death", "x-first-death-", "x-last-death-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    headers
        .iter()
        .filter(|(name, _)| !OWN_HEADERS.contains(name) && !is_death(name))
        .map(|(name, value)| (name, value.clone()))
        .collect()
}
