//! The value stored for a task's id: Celery's result meta (`celery/backends/base.py: _get_result_meta`).

use celery_protocol::{Dict, Incoming, IsoTime, TaskMessage, Value, json};
use jiff::Timestamp;

use super::child::Child;

/// The states that a worker stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The task runs, and is registered with `track_started`.
    Started,
    /// The task will run again.
    Retry,
    /// The task has a result.
    Success,
    /// The task has failed.
    Failure,
    /// The task will not run.
    Revoked,
}

impl State {
    /// Returns Celery's name of the state.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Retry => "RETRY",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Revoked => "REVOKED",
        }
    }

    /// Returns whether no other state follows: `READY_STATES`.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Revoked)
    }
}

/// The state and result of a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Meta {
    pub(crate) state: State,
    /// The result; for an exception, the value from [`super::exception_info`].
    pub(crate) result: Value,
    pub(crate) traceback: Option<String>,
    pub(crate) children: Vec<Child>,
    pub(crate) task: Identity,
}

/// The task that a result belongs to, with its context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) group: Option<String>,
    pub(crate) parent: Option<String>,
    /// The caller's reply queue, for `rpc://`.
    pub(crate) reply_to: Option<String>,
    /// The caller's id for the reply, for `rpc://`; usually the task id.
    pub(crate) correlation_id: Option<String>,
}

impl Identity {
    /// Returns the identity of a received task.
    pub(crate) fn of(message: &TaskMessage) -> Self {
        Self {
            id: message.id.clone(),
            group: message.group.clone(),
            parent: message.parent_id.clone(),
            reply_to: message.reply_to.clone(),
            correlation_id: message.correlation_id.clone(),
        }
    }

    /// Returns the identity of a message that was not decoded, or `None` if it has no id.
    pub(crate) fn named(message: &Incoming) -> Option<Self> {
        let properties = &message.message().properties;
        Some(Self {
            id: message.id()?,
            reply_to: properties.reply_to.clone(),
            correlation_id: properties.correlation_id.clone(),
            ..Self::default()
        })
    }
}

impl Meta {
    /// Returns the text to store and send. `now` is when the task finished.
    pub(crate) fn to_json(&self, now: Timestamp) -> String {
        let date_done = self.state.is_final().then(|| IsoTime::from(now).isoformat());
        let children = self.children.iter().map(Child::as_tuple).collect();
        let mut meta = Dict::from_iter([
            ("status", Value::from(self.state.name())),
            ("result", self.result.clone()),
            ("traceback", Value::from(self.traceback.clone())),
            ("children", Value::List(children)),
            ("date_done", Value::from(date_done)),
        ]);
        for (name, id) in [("group_id", &self.task.group), ("parent_id", &self.task.parent)] {
            if let Some(id) = id.as_deref().filter(|id| !id.is_empty()) {
                meta.insert(name, id);
            }
        }
        meta.insert("task_id", self.task.id.as_str());
        json::to_json(&Value::Dict(meta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(state: State) -> Meta {
        Meta {
            state,
            result: Value::from(3),
            traceback: None,
            children: Vec::new(),
            task: Identity {
                id: "t".to_owned(),
                ..Identity::default()
            },
        }
    }

    /// Compares with texts that a Celery 5.7 worker stored, with other ids.
    #[test]
    fn json_equals_celerys() {
        let now = "2026-11-23T19:49:16.983262Z".parse().unwrap();
        assert_eq!(
            meta(State::Success).to_json(now),
            r#"{"status": "SUCCESS", "result": 3, "traceback": null, "children": [], "date_done": "2026-11-23T19:49:16.983262+00:00", "task_id": "t"}"#
        );
        let member = Meta {
            children: vec![Child::Task("c".to_owned())],
            task: Identity {
                group: Some("g".to_owned()),
                parent: Some("p".to_owned()),
                ..meta(State::Success).task
            },
            ..meta(State::Success)
        };
        assert_eq!(
            member.to_json(now),
            r#"{"status": "SUCCESS", "result": 3, "traceback": null, "children": [[["c", null], null]], "date_done": "2026-11-23T19:49:16.983262+00:00", "group_id": "g", "parent_id": "p", "task_id": "t"}"#
        );
        for state in [State::Started, State::Retry] {
            assert!(meta(state).to_json(now).contains(r#""date_done": null"#));
        }
    }
}
