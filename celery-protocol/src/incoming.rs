//! Decoding in Celery's order (`celery/worker/consumer/consumer.py: on_task_received`, contract E.2): the name comes
//! first, so that an unregistered task is refused before its body is read.

use crate::content::{self, NoContent};
use crate::decode_error::DecodeError;
use crate::dict::Dict;
use crate::message::Message;
use crate::task_body;
use crate::task_fields::text;
use crate::task_message::TaskMessage;
use crate::value::Value;

/// A message that names a task and is not decoded further yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    message: Message,
    task: Value,
    body: Body,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// Protocol 2: still encoded. `None` if the message's own body was not compressed.
    Encoded(Option<Vec<u8>>),
    /// Protocol 1: decoded, because it contains the name.
    Decoded(Dict),
}

impl Incoming {
    /// Finds the name of the task: in the header `task`, else in the body.
    ///
    /// # Errors
    /// If the body cannot be unpacked; or if there is no such header, and the body cannot be decoded or does not name a
    /// task.
    pub fn identify(message: Message) -> Result<Incoming, DecodeError> {
        let unpacked = content::unpack(&message)?;
        let (task, body) = if let Some(task) = message.properties.headers.get("task") {
            let unpacked = match unpacked {
                content::Body::Plain(_) => None,
                content::Body::Unpacked(bytes) => Some(bytes),
            };
            (Value::from(task), Body::Encoded(unpacked))
        } else {
            let context = || content::context(&message.properties);
            match content::decode(&unpacked, &message.properties) {
                Ok(Value::Dict(dict)) => {
                    let task = dict.get("task").ok_or(DecodeError::NotATask)?.clone();
                    (task, Body::Decoded(dict))
                }
                Ok(_) => return Err(DecodeError::NotATask),
                Err(NoContent::Undecodable(exception)) => {
                    return Err(DecodeError::Undecodable {
                        exception,
                        context: context(),
                    });
                }
                Err(NoContent::Disallowed(refusal)) => {
                    return Err(DecodeError::DisallowedUnidentified {
                        refusal,
                        context: context(),
                    });
                }
            }
        };
        if let Value::List(_) | Value::Dict(_) = task {
            return Err(DecodeError::poison(format!(
                "the task name is of type {}",
                task.type_name()
            )));
        }
        Ok(Incoming { message, task, body })
    }

    /// Returns the name of the task. It is empty if it is not a string; no task can be registered under such a name.
    pub fn task(&self) -> &str {
        self.task.as_str().unwrap_or_default()
    }

    /// Returns the name as Python's log shows it: `'tasks.add'`, `None`, `5`.
    pub fn task_repr(&self) -> String {
        self.task.py_repr()
    }

    /// Returns the task id, which has not been checked yet: for the `task-failed` event of an unregistered task.
    pub fn id(&self) -> Option<String> {
        match (&self.body, self.message.properties.headers.get("id")) {
            (_, Some(id)) => text(Value::from(id)),
            (Body::Decoded(dict), None) => text(dict.get("id")?.clone()),
            (Body::Encoded(_), None) => None,
        }
    }

    /// Returns the message as received.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Decodes the rest of the message.
    ///
    /// # Errors
    /// See [`DecodeError`]; checked in Celery's order.
    pub fn decode(self) -> Result<TaskMessage, DecodeError> {
        let Incoming { message, task, body } = self;
        match body {
            Body::Decoded(dict) => task_body::named_in_body(message, &task, dict),
            Body::Encoded(unpacked) => {
                let body = unpacked.map_or(content::Body::Plain(&message.body), content::Body::Unpacked);
                match content::decode(&body, &message.properties) {
                    Ok(value) => task_body::named_in_header(message, &task, value),
                    Err(NoContent::Disallowed(refusal)) => Err(DecodeError::Disallowed { refusal }),
                    Err(NoContent::Undecodable(exception)) => {
                        let context = content::context(&message.properties);
                        Err(DecodeError::Undecodable { exception, context })
                    }
                }
            }
        }
    }
}
