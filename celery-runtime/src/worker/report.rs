//! Celery's log lines (contract E.6), with one for each kind of bad message (contract E.2).

use std::time::Duration;

use celery_protocol::saferepr::saferepr;
use celery_protocol::{DecodeError, Incoming, Level, Value};

use crate::task::outcome::Outcome;
use crate::task::registry::RegisteredTask;
use crate::task::request::{DeliveryInfo, Request};

/// Longest result text in a log line.
const RESULT_LENGTH: usize = 1024;

/// Logs that a task message has arrived.
pub fn received(request: &Request) {
    tracing::info!("Task {} received", request.shown());
}

/// Logs that a request will not run, because it has expired.
pub fn discarded(request: &Request) {
    tracing::info!("Discarding revoked task: {}", request.shown());
}

/// Logs that a request was recognised as the redelivery of a run; `what` is the state of that run.
pub(crate) fn recognised(request: &Request, what: &str) {
    tracing::info!("Task {} was redelivered; its first run {what}", request.shown());
}

/// Logs that a message is for a task that is not registered.
pub fn unregistered(incoming: &Incoming, info: &DeliveryInfo) {
    let body = &incoming.message().body;
    let contents = saferepr(&Value::Bytes(body.clone()), Some(RESULT_LENGTH), 3);
    tracing::error!(
        "Received unregistered task of type {}.\nThe message has been ignored and discarded.\n\n\
         Did you remember to register the task in this worker?\n\n\
         The full contents of the message body was:\n{contents} ({}b)\n\n\
         The delivery info for this task is:\n{{'redelivered': {}, 'exchange': '{}', 'routing_key': '{}'}}",
        incoming.task_repr(),
        body.len(),
        if info.redelivered { "True" } else { "False" },
        info.exchange,
        info.routing_key,
    );
}

/// Logs that a message is not a task message that can be run.
pub fn refused(error: &DecodeError) {
    match error.level() {
        Level::Warning => tracing::warn!("{error}"),
        Level::Error => tracing::error!("{error}"),
        Level::Critical => tracing::error!(critical = true, "{error}"),
    }
}

/// Logs the outcome of a run.
pub fn ended(registered: &RegisteredTask, request: &Request, outcome: &Outcome, runtime: Duration) {
    let task = request.shown();
    match outcome {
        Outcome::Succeeded(result) => {
            let seconds = Value::Float(runtime.as_secs_f64()).py_repr();
            let result = saferepr(result, Some(RESULT_LENGTH), 3);
            tracing::info!("Task {task} succeeded in {seconds}s: {}", result.escaped());
        }
        Outcome::Failed(exception) if registered.expects(exception) => {
            tracing::info!("Task {task} raised expected: {exception}");
        }
        Outcome::Failed(exception) => tracing::error!("Task {task} raised unexpected: {exception}"),
        // The time limit has logged it already.
        Outcome::TimedOut(_) => {}
        Outcome::Retried { when, exception } => {
            let why = exception.as_ref().map(|exception| format!(": {exception}"));
            tracing::info!("Task {task} retry: Retry {when}{}", why.unwrap_or_default());
        }
        Outcome::Ignored => tracing::info!("Task {task} ignored"),
        Outcome::Rejected { requeue, reason } => {
            let requeue = if *requeue { "True" } else { "False" };
            tracing::warn!("Task {task} reject requeue={requeue}: {reason}");
        }
    }
}
