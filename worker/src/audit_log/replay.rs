//! The replay of records from the spool to the sink.

use std::time::Duration;

use super::intake::{BATCH, Closed, log_refused};
use super::sink::{AuditSink, Fate, SinkFailure, within};
use super::spool::{Spool, SpoolError, Spooled, Turn};

/// The outcome of one batch from the spool.
pub(super) struct Replayed {
    pub(super) written: usize,
    pub(super) refused: usize,
    /// Whether the spool holds no more records.
    pub(super) is_last: bool,
    /// The number of the last record.
    pub(super) last: Option<i64>,
    /// The reason why the records are still in the spool: its disk is so full that nothing can be removed either.
    pub(super) left: Option<SpoolError>,
}

/// The reason why an attempt to end an outage failed.
pub(super) enum Unfinished {
    /// The sink did not accept the records.
    Sink(SinkFailure),
    /// The spool could not be read, or records could not be removed from it.
    Spool(SpoolError),
    /// Another worker is replaying the spool.
    NotOurTurn,
    /// The audit log has been dropped.
    Closed(Closed),
}

impl From<SinkFailure> for Unfinished {
    fn from(failure: SinkFailure) -> Self {
        Self::Sink(failure)
    }
}

impl From<SpoolError> for Unfinished {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

impl From<Closed> for Unfinished {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

/// Writes the oldest records of the spool to the sink; if there are none, checks whether the sink is available.
pub(super) async fn replay_oldest(
    sink: &impl AuditSink,
    spool: &Spool,
    _turn: &Turn,
    after: i64,
    limit: Duration,
) -> Result<Replayed, Unfinished> {
    let Spooled { ids, records } = spool.oldest(after, BATCH).await?;
    let fates = within(limit, async {
        if records.is_empty() {
            sink.check().await.map(|()| Vec::new())
        } else {
            sink.write(&records).await
        }
    });
    let fates = fates.await?;
    let (mut written, mut refused, mut deferred) = (Vec::new(), Vec::new(), None);
    let mut refused_tasks = Vec::new();
    for (position, id) in ids.iter().enumerate() {
        match fates.get(position) {
            Some(Fate::Written) => written.push(*id),
            Some(Fate::Refused(reason)) => {
                refused_tasks.push(&records[position].task_id);
                refused.push((*id, reason.clone()));
            }
            Some(Fate::Deferred(reason)) => deferred = Some(reason.clone()),
            None => deferred = Some("the store did not report the outcome for the record".to_owned()),
        }
    }
    let mut replayed = Replayed {
        written: written.len(),
        refused: refused.len(),
        is_last: ids.len() < BATCH,
        last: ids.last().copied(),
        left: None,
    };
    let settled = if ids.is_empty() {
        Ok(())
    } else {
        spool.settle(written, refused).await
    };
    match settled {
        Ok(()) => {
            for task_id in refused_tasks {
                log_refused(task_id, Some(spool));
            }
        }
        Err(error @ SpoolError::Full { .. }) => {
            replayed.refused = 0;
            replayed.left = Some(error);
        }
        Err(error) => return Err(error.into()),
    }
    match deferred {
        None => Ok(replayed),
        Some(reason) => Err(SinkFailure::Deferred(reason).into()),
    }
}
