//! Celery's log lines (contract E.6) and what each kind of bad message is logged as (contract E.2).

use std::time::Duration;

use celery_protocol::saferepr::saferepr;
use celery_protocol::{DecodeError, Incoming, Level, Refusal, TaskMessage, Value};

use super::delivery::Delivery;
use crate::registry::RegisteredTask;
use crate::settlement::Settlement;
use crate::task::{Outcome, Request};

/// Longest result text in a log line.
const RESULT_LENGTH: usize = 1024;

pub(crate) fn received(message: &TaskMessage) {
    tracing::info!("Task {} received", shown(message));
}

pub(crate) fn discarded(message: &TaskMessage) {
    tracing::info!("Discarding revoked task: {}", shown(message));
}

pub(crate) fn known(request: &Request, what: &str) {
    tracing::info!(
        "Task {} was delivered again; its first run {what}",
        request.shown()
    );
}

pub(crate) fn unregistered(incoming: &Incoming, delivery: &Delivery) {
    let body = &incoming.message().body;
    let contents = saferepr(&Value::Bytes(body.clone()), Some(RESULT_LENGTH), 3);
    tracing::error!(
        "Received unregistered task of type {}.\nThe message has been ignored and discarded.\n\n\
         Did you remember to register the task in this worker?\n\n\
         The full contents of the message body was:\n{contents} ({}b)\n\n\
         The delivery info for this task is:\n{{'redelivered': {}, 'exchange': '{}', 'routing_key': '{}'}}",
        incoming.task_repr(),
        body.len(),
        if delivery.info.redelivered {
            "True"
        } else {
            "False"
        },
        delivery.info.exchange,
        delivery.info.routing_key,
    );
}

pub(crate) fn refused(error: &DecodeError) {
    match error.level() {
        Level::Warning => tracing::warn!("{error}"),
        Level::Error => tracing::error!("{error}"),
        Level::Critical => tracing::error!(critical = true, "{error}"),
    }
}

/// Undecodable bodies are acked so that they cannot loop; everything else that is no task is rejected.
pub(crate) fn settlement_of(error: &DecodeError) -> Settlement {
    match error.settlement() {
        Refusal::Ack => Settlement::Ack,
        Refusal::Reject => Settlement::Reject { requeue: false },
    }
}

pub(crate) fn ended(registered: &RegisteredTask, request: &Request, outcome: &Outcome, runtime: Duration) {
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
        // Said when it happened.
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

fn shown(message: &TaskMessage) -> String {
    format!("{}[{}]", message.name(), message.id)
}
