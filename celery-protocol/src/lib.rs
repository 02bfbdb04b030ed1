//! The Celery wire as bytes and types: task messages of protocol 2 and 1, kombu's JSON, AMQP tables.
//!
//! No I/O, no runtime, no AMQP client. What is not said here is in the wire contract, whose sections the items cite.
//!
//! A producer fills in a [`TaskCall`]; a worker takes a message through [`Incoming`], which names the task, to a
//! [`TaskMessage`], or to a [`DecodeError`] that says what Celery does with a message that is none.
//!
//! ```
//! use celery_protocol::{Incoming, Sender, TaskCall, Value};
//!
//! let sender = Sender { origin: "gen1@host".to_owned(), reply_to: uuid::Uuid::new_v4().to_string() };
//! let call = TaskCall::new("tasks.add", uuid::Uuid::new_v4(), &sender).with_args(vec![1.into(), 2.into()]);
//! let message = call.encode();
//!
//! let incoming = Incoming::identify(message)?;
//! assert_eq!(incoming.task(), "tasks.add");
//! let task = incoming.decode()?;
//! assert_eq!(task.args, Value::List(vec![1.into(), 2.into()]));
//! assert_eq!(task.argsrepr, "(1, 2)");
//! # Ok::<(), celery_protocol::DecodeError>(())
//! ```

pub mod compression;
mod content;
mod decimal;
mod decode_error;
mod dict;
mod field;
pub mod float;
mod incoming;
pub mod iso8601;
mod iso_time;
pub mod json;
pub mod literal;
mod message;
mod printable;
mod python_datetime;
mod python_text;
pub mod saferepr;
mod signature;
mod stored_bytes;
mod task_body;
mod task_call;
mod task_fields;
mod task_message;
mod text;
mod value;
mod wtf8;

pub use compression::Compression;
pub use decode_error::{DecodeError, Level, Refusal};
pub use dict::Dict;
pub use field::{FieldTable, FieldValue};
pub use incoming::Incoming;
pub use iso_time::IsoTime;
pub use message::{Message, Properties};
pub use signature::{Embed, Signature};
pub use task_call::{Sender, TaskCall};
pub use task_message::{Protocol, TaskMessage};
pub use text::Text;
pub use value::{BigInt, Value};
