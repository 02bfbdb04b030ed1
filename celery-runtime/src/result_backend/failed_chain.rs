//! The tasks that fail along with a step of a chain.

use std::collections::VecDeque;

use celery_protocol::{Signature, Value};

use super::chord::{Part, not_empty};
use super::meta::Identity;

/// A step of a chain that fails because an earlier step has failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// The task; `None` if the step has no result of its own.
    pub(crate) task: Option<Identity>,
    /// The part, if the step belongs to a chord's header.
    pub(crate) part: Option<Part>,
}

/// Returns the steps of a chain that fail with it, including a chord's body (`celery/backends/base.py:
/// _fail_chain`).
pub(crate) fn steps(chain: &[Signature]) -> Vec<Step> {
    let mut left: VecDeque<Signature> = chain.iter().cloned().collect();
    let mut steps = Vec::new();
    while let Some(step) = left.pop_front() {
        let text = |name| step.option(name).and_then(Value::as_str).map(str::to_owned);
        let task = not_empty(text("task_id")).map(|id| Identity {
            id,
            group: text("group_id"),
            parent: text("parent_id"),
            reply_to: text("reply_to"),
            correlation_id: text("correlation_id"),
        });
        if step.subtask_type() == Some("chord")
            && let Some(body) = step.kwarg("body").cloned().and_then(Signature::from_value)
        {
            left.push_back(body);
        }
        steps.push(Step {
            task,
            part: Part::of_step(&step),
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use celery_protocol::json;

    use super::*;

    fn signature(text: &str) -> Signature {
        Signature::from_value(json::parse(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_chains_steps_fail_with_it() {
        let chain = [
            signature(
                r#"{"task": "demo.last", "args": [], "kwargs": {}, "subtask_type": null, "immutable": false,
                    "options": {"task_id": "last", "group_id": "g", "group_index": 2, "reply_to": "q",
                                "chord": {"task": "demo.body", "options": {"task_id": "body"}}}}"#,
            ),
            signature(
                r#"{"task": "celery.chord", "subtask_type": "chord", "options": {},
                    "kwargs": {"header": [], "body": {"task": "demo.inner", "options": {"task_id": "inner"}}}}"#,
            ),
        ];
        let steps = steps(&chain);
        let ids: Vec<_> = steps
            .iter()
            .map(|step| step.task.as_ref().map(|task| task.id.as_str()))
            .collect();
        assert_eq!(ids, [Some("last"), None, Some("inner")]);
        let last = steps[0].task.as_ref().unwrap();
        assert_eq!(
            (last.group.as_deref(), last.reply_to.as_deref()),
            (Some("g"), Some("q"))
        );
        let part = steps[0].part.as_ref().unwrap();
        assert_eq!(
            (part.group.as_str(), part.id.as_str(), part.score().as_str()),
            ("g", "last", "2")
        );
        assert_eq!(part.body.task(), "demo.body");
        assert!(steps[1].part.is_none() && steps[2].part.is_none());
    }
}
