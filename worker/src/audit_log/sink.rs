//! Where records go: the port to a store, and what it reports.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::record::AuditRecord;

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the audit log in {store}")]
pub struct AuditError {
    /// What the records are kept in, and where.
    pub store: String,
    /// What went wrong.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// An error of a store's own library.
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

/// Where records go.
pub trait AuditSink: Send + Sync + 'static {
    /// Whether records can be written now.
    fn check(&self) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Tries once to write these records and returns what became of each, in their order. Writing a record again must not
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

/// Why a sink does not take records.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkFailure {
    #[error(transparent)]
    Failed(#[from] AuditError),
    #[error("the audit log has not answered for {0:?}")]
    Silent(Duration),
    /// It takes others, but not this one now, for the reason that it gave.
    #[error("{0}")]
    Deferred(String),
    #[error("the audit log refuses records for good, and there is no place to keep them")]
    NoPlaceForRefused,
}

/// Bounds a call of a sink in time.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, AuditError>>,
) -> Result<T, SinkFailure> {
    match timeout(limit, call).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(SinkFailure::Silent(limit)),
    }
}
