//! One message: Celery's `send_task` with the options of a signature.

use celery_protocol::{Compression, Dict, Embed, Signature, TaskCall, Value, iso8601, saferepr};

use super::context::Canvas;
use super::error::CanvasError;
use super::field::{field, table};
use super::options::{list, text};
use super::plan::{Publication, new_id};
use super::signature::Args;
use crate::amqp::delayed_delivery;
use crate::amqp::destination::{Destination, RouteOptions};
use crate::task::options::TaskOptions;

impl Canvas<'_> {
    /// Builds the message of a task with these arguments and options, and its destination.
    pub(super) fn publication(
        &self,
        task: &str,
        args: Args,
        kwargs: Dict,
        options: &Dict,
    ) -> Result<Publication, CanvasError> {
        let known = self.tasks.get(task).map(|task| task.options());
        let id = text(options, "task_id").unwrap_or_else(new_id);
        let mut call = TaskCall::new(task, id, self.sender);
        if !args.is_tuple && !args.items.is_empty() {
            let shown = Value::List(args.items.clone());
            call.argsrepr = Some(saferepr::saferepr(
                &shown,
                Some(saferepr::MAX_LEN),
                saferepr::MAX_LEVELS,
            ));
        }
        call = call.with_args(args.items).with_kwargs(kwargs);
        for (name, repr) in [
            ("argsrepr", &mut call.argsrepr),
            ("kwargsrepr", &mut call.kwargsrepr),
        ] {
            if let Some(given) = options.get(name).filter(|given| !given.is_none()) {
                *repr = Some(given.py_str().into());
            }
        }
        call.embed = embed(options)?;
        call.shadow = text(options, "shadow");
        call.group = text(options, "group_id");
        call.group_index = options.get("group_index").and_then(Value::as_i64);
        call.retries = options.get("retries").and_then(Value::as_i64).unwrap_or(0);
        call.timelimit = (
            limit(options, "time_limit", known.and_then(|task| task.time_limit)),
            limit(
                options,
                "soft_time_limit",
                known.and_then(|task| task.soft_time_limit),
            ),
        );
        let root_id = text(options, "root_id").unwrap_or_else(|| self.root_id().to_owned());
        call.root_id = Some(root_id);
        call.parent_id = Some(text(options, "parent_id").unwrap_or_else(|| self.parent.id.clone()));
        if let Some(origin) = text(options, "origin") {
            call.origin = origin;
        }
        if let Some(reply_to) = text(options, "reply_to") {
            call.reply_to = reply_to;
        }
        call.ignore_result = match options.get("ignore_result") {
            Some(value) if !value.is_none() => Some(value.is_truthy()),
            _ => known.map(|task| task.ignore_result),
        };
        let nesting = options.get("replaced_task_nesting").and_then(Value::as_i64);
        call.replaced_task_nesting = nesting.unwrap_or(0);
        set_stamps(&mut call, options);
        self.set_times(&mut call, options)?;
        set_delivery(&mut call, options, known)?;
        let destination = self.destination(&call, options)?;
        Ok(Publication { destination, call })
    }

    /// Sets ETA and expiry. A number is relative to now, and a countdown takes precedence over an ETA.
    fn set_times(&self, call: &mut TaskCall, options: &Dict) -> Result<(), CanvasError> {
        call.eta = time(options, "eta")?;
        if let Some(countdown) = number(options, "countdown").filter(|seconds| *seconds != 0.0) {
            *call = call.clone().with_countdown(countdown, self.now);
        }
        if let Some(seconds) = number(options, "expiration") {
            call.expiration = Some(milliseconds(seconds));
        }
        if let Some(seconds) = number(options, "expires") {
            *call = call.clone().with_expires_in(seconds, self.now);
        } else if let Some(expires) = time(options, "expires")? {
            set_expires_at(call, expires, self.now)?;
        }
        Ok(())
    }

    /// Returns the destination, which is that of native delayed delivery if the queue supports it (contract E.4).
    fn destination(&self, call: &TaskCall, options: &Dict) -> Result<Destination, CanvasError> {
        let name = |name: &str| match options.get(name) {
            None | Some(Value::None) => Ok(None),
            Some(value) => match value.as_str() {
                Some(name) => Ok(Some(name)),
                None => Err(CanvasError::malformed(format!(
                    "the {name} of {} is not a string",
                    call.task
                ))),
            },
        };
        let route = RouteOptions {
            queue: name("queue")?.filter(|queue| !queue.is_empty()),
            exchange: name("exchange")?,
            exchange_type: name("exchange_type")?,
            routing_key: name("routing_key")?,
        };
        let delay = delayed_delivery::delay(call, self.now);
        let delayed = delay.and_then(|delay| delayed_delivery::destination(self.routes, route, delay));
        Ok(delayed.unwrap_or_else(|| self.routes.destination(route)))
    }
}

/// Copies the stamps, which travel in the options of a signature, to the call.
fn set_stamps(call: &mut TaskCall, options: &Dict) {
    let Some(Value::List(names)) = options.get("stamped_headers") else {
        return;
    };
    let names: Vec<String> = names.iter().map(Value::py_str).collect();
    for name in &names {
        let value = options.get(name).map_or(celery_protocol::FieldValue::Void, field);
        call.stamps.insert(name.as_str(), value);
    }
    call.stamped_headers = Some(names);
}

/// Sets the expiry to a point in time from the options, in the form that the message has.
pub(super) fn set_expires_at(
    call: &mut TaskCall,
    expires: String,
    now: jiff::Timestamp,
) -> Result<(), CanvasError> {
    let at = iso8601::parse(&expires)
        .map_err(|error| CanvasError::malformed(format!("the expires of {}: {error}", call.task)))?;
    *call = call.clone().with_expires_at(at, now);
    call.expires = Some(expires);
    Ok(())
}

/// Returns the signatures linked to the task, and the chord that it belongs to.
fn embed(options: &Dict) -> Result<Embed, CanvasError> {
    let signatures = |name: &str| match options.get(name) {
        None | Some(Value::None) => Ok(None),
        given => list(given)
            .into_iter()
            .map(|value| {
                Signature::from_value(value).ok_or_else(|| {
                    CanvasError::malformed(format!("{name} contains something that is not a signature"))
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Some),
    };
    let chord = match options.get("chord") {
        None | Some(Value::None) => None,
        Some(chord) => Some(
            Signature::from_value(chord.clone())
                .ok_or_else(|| CanvasError::malformed("chord contains something that is not a signature"))?,
        ),
    };
    Ok(Embed {
        callbacks: signatures("link")?,
        errbacks: signatures("link_error")?,
        chain: signatures("chain")?,
        chord,
    })
}

/// Sets priority, delivery mode, compression and the caller's own headers.
///
/// A registered task that is sent to a queue by name has no priority, while other tasks have 0: Celery's `lpmerge`
/// drops the unset priority only if the task goes to the default queue.
fn set_delivery(call: &mut TaskCall, options: &Dict, known: Option<&TaskOptions>) -> Result<(), CanvasError> {
    call.priority = match options.get("priority").and_then(Value::as_i64) {
        Some(priority) => Some(u8::try_from(priority).map_err(|_| {
            CanvasError::malformed(format!(
                "the priority {priority} of {} is not from 0 to 255",
                call.task
            ))
        })?),
        None if known.is_some() && text(options, "queue").is_some() => None,
        None => Some(0),
    };
    call.delivery_mode = match options.get("delivery_mode") {
        Some(Value::Int(1)) => 1,
        Some(mode) if mode.as_str() == Some("transient") => 1,
        _ => 2,
    };
    if let Some(name) = text(options, "compression") {
        let compression = Compression::from_header(&name)
            .ok_or_else(|| CanvasError::malformed(format!("there is no compression named {name}")))?;
        call.compression = Some(compression);
    }
    if let Some(name) = text(options, "serializer").filter(|name| name != "json") {
        tracing::warn!(
            "{} is sent as JSON: this worker has no serializer {name}",
            call.task
        );
    }
    if let Some(Value::Dict(headers)) = options.get("headers") {
        call.headers = table(headers);
    }
    Ok(())
}

fn limit(options: &Dict, name: &str, own: Option<std::time::Duration>) -> Option<f64> {
    number(options, name).or(own.map(|limit| limit.as_secs_f64()))
}

fn number(options: &Dict, name: &str) -> Option<f64> {
    match options.get(name)? {
        #[expect(clippy::cast_precision_loss, reason = "seconds, far below 2^53")]
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// Returns a `datetime`, or its text as `isoformat()` writes it.
fn time(options: &Dict, name: &str) -> Result<Option<String>, CanvasError> {
    match options.get(name) {
        None => Ok(None),
        Some(value) if !value.is_truthy() => Ok(None),
        Some(Value::DateTime(text)) => Ok(Some(text.clone())),
        Some(Value::Text(text)) => Ok(Some(text.to_string_lossy().into_owned())),
        Some(other) => Err(CanvasError::malformed(format!(
            "the {name} of a signature is of type {}",
            other.type_name()
        ))),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates at 0 and at the top"
)]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}
