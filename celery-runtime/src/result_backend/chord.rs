//! Chords: a header of tasks, and a body that runs with their results. The last header task to return sends the body.

use std::collections::VecDeque;

use celery_protocol::{Signature, TaskMessage, Value};
use uuid::Uuid;

use super::exception_info;
use super::meta::Identity;
use crate::exception::Exception;

/// A task of a chord's header that has returned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// The header's id.
    pub(crate) group: String,
    /// The task's id.
    pub(crate) id: String,
    /// Its place in the header.
    pub(crate) index: Option<i64>,
    /// What is sent when all have returned.
    pub(crate) body: Signature,
}

/// What the last return of a chord asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Join {
    /// Send the body with these results while the claim is held, then release it.
    Complete {
        /// What to send.
        body: Signature,
        /// The results in the order of the header.
        results: Value,
        /// Nobody else sends the body meanwhile.
        claim: Claim,
    },
    /// The body fails, because a task of the header has.
    Broken(Broken),
}

/// The right to send a chord's body, for a while: `<group>.c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) group: String,
    pub(crate) token: String,
}

/// A chord's body that will not run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken {
    /// The header's id.
    pub(crate) group: String,
    pub(crate) body: Signature,
    /// What the body fails with: a `ChordError`.
    pub(crate) error: Exception,
    /// What the task of the header failed with, as it was stored.
    pub(crate) cause: Option<Value>,
}

/// A task that fails along with a chord's body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failed {
    pub(crate) id: String,
    /// To be sent with this id.
    pub(crate) errbacks: Vec<Signature>,
}

impl Part {
    /// Of a message whose task belongs to a chord; a chord without group cannot be counted.
    pub(crate) fn of(message: &TaskMessage) -> Option<Self> {
        Some(Self {
            group: not_empty(message.group.clone())?,
            id: not_empty(Some(message.id.clone()))?,
            index: message.group_index,
            body: message.embed.chord.clone()?,
        })
    }

    /// Of a step of a chain that will not run.
    pub(crate) fn of_step(step: &Signature) -> Option<Self> {
        let text = |name| step.option(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            group: not_empty(text("group_id"))?,
            id: not_empty(text("task_id"))?,
            index: step.option("group_index").and_then(Value::as_i64),
            body: Signature::from_value(step.option("chord")?.clone())?,
        })
    }

    /// The place in the header as Celery writes it.
    pub(crate) fn score(&self) -> String {
        self.index
            .map_or_else(|| "+inf".to_owned(), |index| index.to_string())
    }

    /// What Celery keeps of the return: `[1, id, state, result]`.
    pub(crate) fn stored(&self, state: &str, result: &Value) -> Value {
        Value::List(vec![
            Value::from(1),
            Value::from(self.id.as_str()),
            Value::from(state),
            result.clone(),
        ])
    }

    /// The results of all parts, or how the chord is broken.
    pub(crate) fn unpack(parts: Vec<Value>) -> Result<Value, (String, Option<Value>)> {
        let results = parts.into_iter().map(|part| match part {
            Value::List(fields) => <[Value; 4]>::try_from(fields).map_err(|_| {
                (
                    "Join error: a part of the header has no four fields".to_owned(),
                    None,
                )
            }),
            other => Err((
                format!("Join error: {} is no part of a header", other.py_repr()),
                None,
            )),
        });
        let results: Result<Vec<Value>, _> = results
            .map(|part| {
                let [_, id, state, result] = part?;
                match state.as_str() {
                    Some("FAILURE" | "REVOKED") => {
                        let message = format!(
                            "Dependency {} raised {}",
                            id.py_str(),
                            exception_info::repr(&result)
                        );
                        Err((message, Some(result)))
                    }
                    _ => Ok(result),
                }
            })
            .collect();
        results.map(Value::List)
    }
}

impl Broken {
    /// With a `ChordError` of this text.
    pub(crate) fn new(group: &str, body: &Signature, message: String, cause: Option<Value>) -> Self {
        Self {
            group: group.to_owned(),
            body: body.clone(),
            error: Exception::new("ChordError", message),
            cause,
        }
    }

    /// The tasks that fail: the body, which gets an id if it lacks one, or where the body is a group each of its tasks
    /// and the group (`celery/backends/base.py: chord_error_from_stack`).
    pub(crate) fn failed(&self) -> Vec<Failed> {
        if self.body.subtask_type() == Some("group") {
            let own = errbacks_of(&self.body);
            let tasks = members(&self.body);
            let group = task_id(&self.body).map(|id| Failed {
                id,
                errbacks: Vec::new(),
            });
            return tasks
                .iter()
                .filter_map(|member| {
                    let (id, mut errbacks) = result_of(member);
                    for errback in &own {
                        if !errbacks.contains(errback) {
                            errbacks.push(errback.clone());
                        }
                    }
                    Some(Failed { id: id?, errbacks })
                })
                .chain(group)
                .collect();
        }
        vec![Failed {
            id: task_id(&self.body).unwrap_or_else(|| Uuid::new_v4().to_string()),
            errbacks: errbacks_of(&self.body),
        }]
    }

    /// What is stored for them: the tasks of a group fail with what has happened, a body with the `ChordError`.
    pub(crate) fn result(&self) -> Value {
        match &self.cause {
            Some(cause) if self.body.subtask_type() == Some("group") => cause.clone(),
            _ => exception_info::stored(&self.error),
        }
    }
}

/// A step of a chain that fails because one before it has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// `None`: it has no result of its own.
    pub(crate) task: Option<Identity>,
    /// Where it belongs to a chord's header.
    pub(crate) part: Option<Part>,
}

/// The steps of a chain that fail with it, a chord's body among them (`celery/backends/base.py: _fail_chain`).
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

/// The id of a signature's result, and the errbacks that are linked to it: a chord's are its body's.
fn result_of(signature: &Signature) -> (Option<String>, Vec<Signature>) {
    let (mut current, mut errbacks) = (signature.clone(), Vec::new());
    while current.subtask_type() == Some("chord")
        && let Some(body) = current.kwarg("body").cloned().and_then(Signature::from_value)
    {
        errbacks.extend(errbacks_of(&current));
        current = body;
    }
    errbacks.extend(errbacks_of(&current));
    match current.subtask_type() {
        Some("group") => errbacks.extend(members(&current).iter().flat_map(|member| result_of(member).1)),
        Some("chain") => {
            let id = members(&current).last().and_then(|last| result_of(last).0);
            return (id.or_else(|| task_id(&current)), errbacks);
        }
        _ => {}
    }
    (task_id(&current), errbacks)
}

/// The tasks of a group or a chain.
fn members(signature: &Signature) -> Vec<Signature> {
    let members = signature
        .kwarg("tasks")
        .and_then(Value::as_list)
        .unwrap_or_default();
    members
        .iter()
        .cloned()
        .filter_map(Signature::from_value)
        .collect()
}

fn errbacks_of(signature: &Signature) -> Vec<Signature> {
    match signature.option("link_error") {
        Some(Value::List(errbacks)) => errbacks
            .iter()
            .cloned()
            .filter_map(Signature::from_value)
            .collect(),
        Some(errback) => Signature::from_value(errback.clone()).into_iter().collect(),
        None => Vec::new(),
    }
}

fn task_id(signature: &Signature) -> Option<String> {
    not_empty(
        signature
            .option("task_id")
            .and_then(Value::as_str)
            .map(str::to_owned),
    )
}

fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use celery_protocol::json;

    use super::*;

    fn signature(text: &str) -> Signature {
        Signature::from_value(json::parse(text.as_bytes()).unwrap()).unwrap()
    }

    fn parts(text: &str) -> Vec<Value> {
        json::parse(text.as_bytes()).unwrap().as_list().unwrap().to_vec()
    }

    #[test]
    fn parts_join_in_their_order_or_break_the_chord() {
        let results = Part::unpack(parts(r#"[[1, "a", "SUCCESS", 3], [1, "b", "SUCCESS", null]]"#));
        assert_eq!(results, Ok(Value::List(vec![Value::from(3), Value::None])));
        let failed = r#"{"exc_type": "ValueError", "exc_message": ["x"], "exc_module": "builtins"}"#;
        let (message, cause) = Part::unpack(parts(&format!(
            r#"[[1, "a", "SUCCESS", 3], [1, "b", "FAILURE", {failed}]]"#
        )))
        .unwrap_err();
        assert_eq!(message, "Dependency b raised ValueError('x')");
        assert_eq!(cause.map(|cause| json::to_json(&cause)).as_deref(), Some(failed));
        assert!(Part::unpack(parts(r#"[[1, "a"]]"#)).is_err());
        assert!(Part::unpack(parts("[7]")).is_err());
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

    #[test]
    fn a_body_fails_and_of_a_group_each_task() {
        let failed = |body: &str| {
            let broken = Broken::new(
                "g",
                &signature(body),
                "Dependency a raised E()".to_owned(),
                Some(Value::from(1)),
            );
            let failed = broken.failed();
            let shown: Vec<(String, usize)> = failed
                .into_iter()
                .map(|failed| (failed.id, failed.errbacks.len()))
                .collect();
            (shown, broken.result() == Value::from(1))
        };
        let one =
            r#"{"task": "demo.body", "options": {"task_id": "b", "link_error": [{"task": "demo.err"}]}}"#;
        assert_eq!(failed(one), (vec![("b".to_owned(), 1)], false));
        let without_id = failed(r#"{"task": "demo.body", "options": {}}"#).0;
        assert!(matches!(without_id.as_slice(), [(id, 0)] if id.parse::<Uuid>().is_ok()));
        let chain = r#"{"task": "celery.chain", "subtask_type": "chain", "options": {"task_id": "z"},
                        "kwargs": {"tasks": [{"task": "demo.a", "options": {"task_id": "x"}},
                                             {"task": "demo.b", "options": {"task_id": "y"}}]}}"#;
        let group = format!(
            r#"{{"task": "celery.group", "subtask_type": "group",
                 "options": {{"task_id": "g", "link_error": [{{"task": "demo.err"}}]}},
                 "kwargs": {{"tasks": [{one}, {chain}]}}}}"#
        );
        let expected = vec![("b".to_owned(), 1), ("y".to_owned(), 1), ("g".to_owned(), 0)];
        assert_eq!(failed(&group), (expected, true));
    }
}
