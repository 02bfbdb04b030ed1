//! An AMQP message as it is stored in a queue.

use serde::{Deserialize, Serialize};

use crate::field::FieldTable;
use crate::stored_bytes;

/// The basic properties of AMQP 0.9.1 (contract A.2 lists which of them Celery sets).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Properties {
    /// `application/json`; a missing one counts as `application/data` (contract A.7).
    pub content_type: Option<String>,
    /// `utf-8`; it has no effect on JSON.
    pub content_encoding: Option<String>,
    /// The headers of contract A.3 and the sender's own.
    pub headers: FieldTable,
    /// 2 survives a restart of the broker, 1 does not.
    pub delivery_mode: Option<u8>,
    /// 0 to 255; absent in some messages of Celery.
    pub priority: Option<u8>,
    /// The task id.
    pub correlation_id: Option<String>,
    /// The queue in which the sender awaits an answer. With Celery it is the sender's own mark, rarely a queue.
    pub reply_to: Option<String>,
    /// Time to live in the queue, in milliseconds, as text.
    pub expiration: Option<String>,
    /// Not set by Celery.
    pub message_id: Option<String>,
    /// Seconds since 1970. Not set by Celery.
    pub timestamp: Option<u64>,
    /// The property named `type`. Not set by Celery.
    pub kind: Option<String>,
    /// Not set by Celery.
    pub user_id: Option<String>,
    /// Not set by Celery.
    pub app_id: Option<String>,
}

/// Properties and body, as a queue stores them. Serialized with serde and read back, a message is identical to the
/// byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The properties, including the headers.
    pub properties: Properties,
    /// The body, still compressed and encoded.
    #[serde(with = "stored_bytes")]
    pub body: Vec<u8>,
}
