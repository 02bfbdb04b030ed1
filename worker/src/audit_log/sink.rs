//! The port to a store of records, and the outcomes that it reports.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::record::AuditRecord;

/// The error if records could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the audit log in {store}")]
pub struct AuditError {
    /// The store and its address.
    pub store: String,
    /// The cause.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// An error of a store's client library.
#[cfg(feature = "servers")]
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

#[cfg(feature = "servers")]
impl StoreError {
    pub(super) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(error.into())
    }
}

/// A store of records.
pub trait AuditSink: Send + Sync + 'static {
    /// Checks that records can be written now.
    fn check(&self) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Tries once to write these records and returns the outcome for each, in the same order. Writing a record again
    /// must not create a second one.
    ///
    /// # Errors
    ///
    /// If the store was not reached or accepted none of the records; some may have been written nevertheless.
    fn write(&self, records: &[AuditRecord]) -> impl Future<Output = Result<Vec<Fate>, AuditError>> + Send;
}

/// The outcome for a record that was given to a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The record is durable, as far as the store makes anything durable.
    Written,
    /// The store did not accept the record now, for this reason; it may accept it later.
    Deferred(String),
    /// The store will never accept the record, for this reason.
    Refused(String),
}

/// The sink without an audit log: neither `ELASTICSEARCH_URL` nor `REDIS_HOST` is set.
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

/// The reason why a sink does not accept records.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkFailure {
    #[error(transparent)]
    Failed(#[from] AuditError),
    #[error("the audit log has not answered for {0:?}")]
    Silent(Duration),
    /// It accepts others, but not this one now, for the reason that it gave.
    #[error("{0}")]
    Deferred(String),
    #[error("the audit log permanently refuses records, and there is nowhere to keep them")]
    NoPlaceForRefused,
}

/// Runs a call of a sink with a timeout.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, AuditError>>,
) -> Result<T, SinkFailure> {
    match timeout(limit, call).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(SinkFailure::Silent(limit)),
    }
}
