#![doc = include_str!("../README.md")]

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
mod message;
mod printable;
mod python_datetime;
pub mod python_text;
pub mod saferepr;
mod signature;
mod stored_bytes;
mod task_body;
mod task_call;
mod task_fields;
mod task_message;
mod text;
mod value;

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
