//! The audit log: one record per authorization, written before the message is acked.

mod batch;
#[cfg(feature = "elasticsearch")]
pub mod elasticsearch;
mod intake;
mod pauses;
mod record;
#[cfg(feature = "servers")]
pub mod redis;
mod replay;
mod sink;
pub mod spool;
mod writer;

pub use self::record::AuditRecord;
#[cfg(feature = "servers")]
pub use self::sink::StoreError;
pub use self::sink::{AuditError, AuditSink, Fate, NoAuditLog};
pub use self::writer::AuditLog;
