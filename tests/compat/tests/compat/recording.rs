//! A recording of how Python's worker handled each bad message (contract E.2).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use harness::Vhost;
use serde::Deserialize;
use serde_json::Value;

use crate::log_line::LogLine;

/// A message and its recorded outcome.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    #[serde(rename = "case")]
    pub(crate) name: String,
    message: Raw,
    broker_action: Vec<String>,
    log_first_lines: Vec<String>,
    worker_died: bool,
}

#[derive(Debug, Deserialize)]
struct Raw {
    properties: Value,
    headers: Value,
    body_base64: String,
}

/// The answer that the broker receives for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// `basic.ack`.
    Ack,
    /// `basic.reject` without requeue.
    Reject,
    /// No answer: the worker ends, and the message returns to the queue.
    Death,
}

/// All cases in the recording.
pub(crate) fn cases() -> Vec<Case> {
    #[derive(Deserialize)]
    struct Recording {
        cases: Vec<Case>,
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/celery/behaviour-malformed-messages.json");
    let text = std::fs::read_to_string(path).expect("the recording");
    serde_json::from_str::<Recording>(&text)
        .expect("a recording")
        .cases
}

impl Case {
    pub(crate) fn action(&self) -> Action {
        let actions: Vec<&str> = self.broker_action.iter().map(String::as_str).collect();
        match (actions.as_slice(), self.worker_died) {
            (["basic.ack"], false) => Action::Ack,
            (["basic.reject(requeue=false)"], false) => Action::Reject,
            ([], true) => Action::Death,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    pub(crate) fn log(&self) -> Vec<LogLine> {
        // The recording wrongly doubled the backslash; `what_was_recorded_of_python_is_so` has the correct line.
        let lines = self
            .log_first_lines
            .iter()
            .map(|line| line.replace(r"\\ud800", r"\ud800"));
        let lines = lines.map(|line| LogLine::recorded(&line));
        lines.filter(|line| !line.is_gossip()).collect()
    }

    /// Publishes the message to the queue `celery`, with the case's name as its message id, which Celery ignores.
    pub(crate) async fn publish(&self, vhost: &Vhost) {
        let mut properties = self.message.properties.clone();
        properties["headers"] = self.message.headers.clone();
        properties["message_id"] = Value::from(self.name.as_str());
        let body = BASE64.decode(&self.message.body_base64).expect("base64");
        vhost.publish("", "celery", &properties, &body).await;
    }
}
