//! The audit log: one record per authorization, written before the message is acked.

mod batch;
#[cfg(feature = "elasticsearch")]
pub mod elasticsearch;
mod intake;
#[cfg(feature = "servers")]
pub mod redis;
pub mod spool;
mod writer;

use std::future::Future;

pub use self::writer::AuditLog;
use crate::verdict::Verdict;

/// What is kept of an authorization. All texts as the message had them; a lone surrogate is U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// The Celery task that it is a record of. No store shows it; one that needs a name for a document takes it.
    pub task_id: String,
    /// When the task began, in nanoseconds since 1970.
    pub start_time_ns: i128,
    /// The station, as Python's `str()` shows it.
    pub station_id: String,
    /// The driver's token, as Python's `str()` shows it.
    pub driver_token: String,
    /// What the caller was told.
    pub status: Verdict,
    /// How the callback ended: [`CallbackStatus`](crate::callback_status::CallbackStatus).
    pub callback_status: String,
    /// Where the callback went, as Python's `str()` shows it.
    pub callback_url: String,
}

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the audit log in {store}")]
pub struct AuditError {
    /// What the records are kept in, and where.
    pub store: String,
    /// What went wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where records go.
pub trait AuditSink: Send + Sync + 'static {
    /// Whether records can be written now.
    fn check(&self) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Tries once to write these records and tells what became of each, in their order. Writing a record again must not
    /// make a second one.
    ///
    /// # Errors
    ///
    /// The store was not reached, or took none of them; some may have been written all the same.
    fn write(&self, records: &[AuditRecord]) -> impl Future<Output = Result<Vec<Fate>, AuditError>> + Send;
}

/// What became of a record that a sink was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is durable, as far as the store makes anything durable.
    Written,
    /// The store did not take it now, for this reason; it may take it later.
    Deferred(String),
    /// The store will never take it, for this reason.
    Refused(String),
}

/// No audit log: neither `ELASTICSEARCH_URL` nor `REDIS_HOST` is set.
#[derive(Debug, Clone, Copy)]
pub struct NoAuditLog;

impl AuditSink for NoAuditLog {
    async fn check(&self) -> Result<(), AuditError> {
        Ok(())
    }

    async fn write(&self, records: &[AuditRecord]) -> Result<Vec<Fate>, AuditError> {
        Ok(vec![Fate::Written; records.len()])
    }
}
