//! Chords: a header of tasks, and a body that runs with their results. The worker whose header task returns last
//! sends the body.

use celery_protocol::{Signature, TaskMessage, Value};
use uuid::Uuid;

use super::exception_info;
use crate::task::exception::Exception;

/// A task of a chord's header that has returned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// The header's id.
    pub(crate) group: String,
    /// The task's id.
    pub(crate) id: String,
    /// The task's position in the header.
    pub(crate) index: Option<i64>,
    /// The task to send when all have returned.
    pub(crate) body: Signature,
}

/// The action that the last return of a chord requires.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Join {
    /// Send the body with these results while the claim is held, then release the claim.
    Complete {
        /// The task to send.
        body: Signature,
        /// The results in the order of the header.
        results: Value,
        /// The claim that keeps other workers from sending the body.
        claim: Claim,
    },
    /// Fail the body, because a task of the header has failed.
    Broken(Broken),
}

/// The temporary right to send a chord's body: `<group>.c`.
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
    /// The exception that the body fails with: a `ChordError`.
    pub(crate) error: Exception,
    /// The stored exception of the header task that failed.
    pub(crate) cause: Option<Value>,
}

/// A task that fails along with a chord's body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failed {
    pub(crate) id: String,
    /// The errbacks to call with this id.
    pub(crate) errbacks: Vec<Signature>,
}

impl Part {
    /// Returns the part for a message whose task belongs to a chord; a chord without a group cannot be counted.
    pub(crate) fn of(message: &TaskMessage) -> Option<Self> {
        Some(Self {
            group: not_empty(message.group.clone())?,
            id: not_empty(Some(message.id.clone()))?,
            index: message.group_index,
            body: message.embed.chord.clone()?,
        })
    }

    /// Returns the part for a step of a chain that will not run.
    pub(crate) fn of_step(step: &Signature) -> Option<Self> {
        let text = |name| step.option(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            group: not_empty(text("group_id"))?,
            id: not_empty(text("task_id"))?,
            index: step.option("group_index").and_then(Value::as_i64),
            body: Signature::from_value(step.option("chord")?.clone())?,
        })
    }

    /// Returns the position in the header as Celery writes it.
    pub(crate) fn score(&self) -> String {
        self.index
            .map_or_else(|| "+inf".to_owned(), |index| index.to_string())
    }

    /// Returns the entry that Celery stores for the return: `[1, id, state, result]`.
    pub(crate) fn stored(&self, state: &str, result: &Value) -> Value {
        Value::List(vec![
            Value::from(1),
            Value::from(self.id.as_str()),
            Value::from(state),
            result.clone(),
        ])
    }

    /// Returns the results of all parts, or the reason why the chord is broken.
    pub(crate) fn unpack(parts: Vec<Value>) -> Result<Value, (String, Option<Value>)> {
        let results = parts.into_iter().map(|part| match part {
            Value::List(fields) => <[Value; 4]>::try_from(fields).map_err(|_| {
                (
                    "Join error: a part of the header does not have four fields".to_owned(),
                    None,
                )
            }),
            other => Err((
                format!("Join error: {} is not a part of a header", other.py_repr()),
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
    /// Builds a failed body with a `ChordError` of this text.
    pub(crate) fn new(group: &str, body: &Signature, message: String, cause: Option<Value>) -> Self {
        Self {
            group: group.to_owned(),
            body: body.clone(),
            error: Exception::new("ChordError", message),
            cause,
        }
    }

    /// Returns the tasks that fail: the body, which gets an id if it lacks one, or, if the body is a group, each of
    /// its tasks and the group (`celery/backends/base.py: chord_error_from_stack`).
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

    /// Returns the result to store for them: the tasks of a group fail with the original exception, any other body
    /// with the `ChordError`.
    pub(crate) fn result(&self) -> Value {
        match &self.cause {
            Some(cause) if self.body.subtask_type() == Some("group") => cause.clone(),
            _ => exception_info::stored(&self.error),
        }
    }
}

/// Returns the id of a signature's result and the errbacks linked to it; those of a chord are its body's.
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

/// Returns the tasks of a group or a chain.
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

pub(super) fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
