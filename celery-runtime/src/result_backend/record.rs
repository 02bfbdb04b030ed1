//! States and results to store for a task, as Celery's worker chooses them (`celery/app/trace.py`,
//! `celery/worker/request.py`).

use celery_protocol::{Dict, TaskMessage, Value};

use super::exception_info;
use super::meta::State;
use crate::task::exception::Exception;
use crate::task::options::TaskOptions;
use crate::task::outcome::{Outcome, When};

/// A state with its result and traceback.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) state: State,
    pub(crate) result: Value,
    pub(crate) traceback: Option<String>,
}

impl Record {
    /// Returns the record of a run that has ended, or `None` if Celery leaves no trace: for `Ignore`, and for a
    /// `Reject` that requeues.
    pub(crate) fn of(task: &str, outcome: &Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Succeeded(result) => Self {
                state: State::Success,
                result: result.clone(),
                traceback: None,
            },
            Outcome::Failed(exception) => Self::failed(task, exception),
            Outcome::TimedOut(limit) => Self {
                state: State::Failure,
                result: exception_info::stored(&Exception::with_args(
                    "TimeLimitExceeded",
                    vec![seconds(*limit)],
                )),
                traceback: None,
            },
            Outcome::Retried { when, exception } => Self::retried(task, *when, exception.as_ref()),
            Outcome::Rejected {
                requeue: false,
                reason,
            } => {
                let args = vec![Value::from(reason.as_str()), Value::from(false)];
                Self {
                    state: State::Failure,
                    result: exception_info::stored(&Exception::with_args("Reject", args)),
                    traceback: None,
                }
            }
            Outcome::Rejected { requeue: true, .. } | Outcome::Ignored => return None,
        })
    }

    /// Returns the record of a task that failed with this exception.
    pub(crate) fn failed(task: &str, exception: &Exception) -> Self {
        Self {
            state: State::Failure,
            result: exception_info::stored(exception),
            traceback: Some(exception_info::traceback(task, exception)),
        }
    }

    /// Returns the record of a task that is not registered.
    pub(crate) fn unregistered(task: &str) -> Self {
        Self {
            state: State::Failure,
            result: exception_info::stored(&Exception::new("NotRegistered", task)),
            traceback: None,
        }
    }

    /// Returns the record of a task that will run again. The result is the reason, the traceback that of the
    /// `Retry`.
    fn retried(task: &str, when: When, exception: Option<&Exception>) -> Self {
        let message = match exception {
            Some(exception) => format!("Retry {when}: {exception}"),
            None => format!("Retry {when}"),
        };
        Self {
            state: State::Retry,
            result: exception.map_or(Value::None, exception_info::stored),
            traceback: Some(exception_info::traceback(task, &Exception::new("Retry", message))),
        }
    }

    /// Returns the record of a task that was not run, or was terminated: `expired`, `revoked`, `terminated`.
    pub(crate) fn revoked(reason: &str) -> Self {
        Self {
            state: State::Revoked,
            result: exception_info::stored(&Exception::new("TaskRevokedError", reason)),
            traceback: None,
        }
    }

    /// Returns the record of a run that begins in this process.
    pub(crate) fn started(nodename: &str) -> Self {
        let result = Dict::from_iter([
            ("pid", Value::from(i64::from(std::process::id()))),
            ("hostname", Value::from(nodename)),
        ]);
        Self {
            state: State::Started,
            result: Value::Dict(result),
            traceback: None,
        }
    }

    /// Returns whether the record is stored at all: the message's `ignore_result` takes precedence over the task's,
    /// and failures of a task whose results are ignored may be stored nevertheless.
    pub(crate) fn is_wanted(&self, message: &TaskMessage, options: &TaskOptions) -> bool {
        let ignored = message.ignore_result.unwrap_or(options.ignore_result);
        match self.state {
            State::Started | State::Success => !ignored,
            State::Retry | State::Failure | State::Revoked => {
                !ignored || options.store_errors_even_if_ignored
            }
        }
    }
}

/// Returns a time limit as Python passes it: whole seconds are an integer.
fn seconds(limit: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    if limit.fract() == 0.0 && limit.abs() < 9e15 {
        Value::Int(limit as i64)
    } else {
        Value::Float(limit)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use celery_protocol::{Incoming, Sender, TaskCall, json};

    use super::*;

    fn shown(outcome: &Outcome) -> Option<(State, String, Option<String>)> {
        let record = Record::of("demo.task", outcome)?;
        let last = record
            .traceback
            .map(|text| text.trim_end().rsplit('\n').next().unwrap().to_owned());
        Some((record.state, json::to_json(&record.result), last))
    }

    #[test]
    fn outcomes_are_stored_as_celery_stores_them() {
        assert_eq!(
            shown(&Outcome::Succeeded(Value::from(3))),
            Some((State::Success, "3".to_owned(), None))
        );
        assert_eq!(
            shown(&Outcome::Failed(Exception::new("ValueError", "boom"))),
            Some((
                State::Failure,
                r#"{"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"}"#.to_owned(),
                Some("ValueError: boom".to_owned())
            ))
        );
        assert_eq!(
            shown(&Outcome::TimedOut(1.0)),
            Some((
                State::Failure,
                r#"{"exc_type": "TimeLimitExceeded", "exc_message": [1], "exc_module": "billiard.exceptions"}"#
                    .to_owned(),
                None
            ))
        );
        let when = When::In(Duration::from_secs(1));
        let again = Some(Exception::new("ValueError", "again"));
        assert_eq!(
            shown(&Outcome::Retried {
                when,
                exception: again
            }),
            Some((
                State::Retry,
                r#"{"exc_type": "ValueError", "exc_message": ["again"], "exc_module": "builtins"}"#
                    .to_owned(),
                Some("celery.exceptions.Retry: Retry in 1s: ValueError('again')".to_owned())
            ))
        );
        assert_eq!(
            shown(&Outcome::Retried {
                when,
                exception: None
            }),
            Some((
                State::Retry,
                "null".to_owned(),
                Some("celery.exceptions.Retry: Retry in 1s".to_owned())
            ))
        );
        let rejected = |requeue| Outcome::Rejected {
            requeue,
            reason: "why".to_owned(),
        };
        assert_eq!(
            shown(&rejected(false)),
            Some((
                State::Failure,
                r#"{"exc_type": "Reject", "exc_message": ["why", false], "exc_module": "celery.exceptions"}"#
                    .to_owned(),
                None
            ))
        );
        assert_eq!(shown(&rejected(true)), None);
        assert_eq!(shown(&Outcome::Ignored), None);
        let revoked = json::to_json(&Record::revoked("expired").result);
        assert_eq!(
            revoked,
            r#"{"exc_type": "TaskRevokedError", "exc_message": ["expired"], "exc_module": "celery.exceptions"}"#
        );
    }

    #[test]
    fn the_messages_ignore_result_takes_precedence_over_the_tasks() {
        let sender = Sender {
            origin: "gen1@host".to_owned(),
            reply_to: "r".to_owned(),
        };
        let wanted = |record: &Record, header, option, errors| {
            let mut call = TaskCall::new("demo.task", "42", &sender);
            call.ignore_result = header;
            let message = Incoming::identify(call.encode()).unwrap().decode().unwrap();
            let options = TaskOptions {
                ignore_result: option,
                store_errors_even_if_ignored: errors,
                ..TaskOptions::named("demo.task")
            };
            record.is_wanted(&message, &options)
        };
        let success = Record::of("demo.task", &Outcome::Succeeded(Value::None)).unwrap();
        let failure = Record::of("demo.task", &Outcome::Failed(Exception::new("E", ""))).unwrap();
        for (header, option, errors, of_success, of_failure) in [
            (None, false, false, true, true),
            (None, true, false, false, false),
            (None, true, true, false, true),
            (Some(true), false, false, false, false),
            (Some(true), false, true, false, true),
            (Some(false), true, false, true, true),
        ] {
            assert_eq!(
                wanted(&success, header, option, errors),
                of_success,
                "{header:?} {option} {errors}"
            );
            assert_eq!(
                wanted(&failure, header, option, errors),
                of_failure,
                "{header:?} {option} {errors}"
            );
        }
    }
}
