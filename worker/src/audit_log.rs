//! The audit log: one record per authorization, written before the message is acked.

#[cfg(feature = "elasticsearch")]
pub mod elasticsearch;
pub mod redis;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use service_kit::admin::Part;
use tracing::{error, info};

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

/// A sink that loses nothing: what it cannot take is tried again until it can. Says once when an outage begins and once
/// when it is over.
#[derive(Debug)]
pub struct AuditLog<S> {
    sink: S,
    part: Part,
    /// An outage that has been said.
    outage: AtomicBool,
}

impl<S: AuditSink> AuditLog<S> {
    /// `part` tells whether the sink takes records; it is not ready until it has taken one, or [`AuditLog::wait`] has
    /// reached it.
    pub fn new(sink: S, part: Part) -> Self {
        Self {
            sink,
            part,
            outage: AtomicBool::new(false),
        }
    }

    /// Returns when the sink can be written to; to be run at start.
    pub async fn wait(&self) {
        self.until_done(|| self.sink.check()).await;
    }

    /// Returns when the record is written, however long that takes. Dropping the future gives up.
    pub async fn write(&self, record: &AuditRecord) {
        self.until_done(|| self.write_once(record)).await;
    }

    async fn write_once(&self, record: &AuditRecord) -> Result<(), AuditError> {
        let fates = self.sink.write(std::slice::from_ref(record)).await?;
        match fates.into_iter().next() {
            Some(Fate::Written) => Ok(()),
            Some(Fate::Deferred(reason) | Fate::Refused(reason)) => Err(AuditError {
                store: "its store".to_owned(),
                source: reason.into(),
            }),
            None => Err(AuditError {
                store: "its store".to_owned(),
                source: "it does not tell what became of the record".into(),
            }),
        }
    }

    async fn until_done<F: Future<Output = Result<(), AuditError>>>(&self, attempt: impl FnMut() -> F) {
        let forever = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_jitter()
            .without_max_times();
        let done = attempt
            .retry(forever)
            .notify(|error, _| self.note_outage(error))
            .await;
        if done.is_err() {
            return;
        }
        self.part.ready();
        if self.outage.swap(false, Ordering::Relaxed) {
            info!("the audit log takes records again");
        }
    }

    fn note_outage(&self, error: &AuditError) {
        let reason = chain(error);
        self.part.not_ready(reason.clone());
        if !self.outage.swap(true, Ordering::Relaxed) {
            error!("{reason}; records are kept back, and their messages unacknowledged, until it is back");
        }
    }
}

/// The error with its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
