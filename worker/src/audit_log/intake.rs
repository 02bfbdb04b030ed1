//! Where records come in, and where they stay while the sink cannot take them: in the spool, or, where that cannot
//! either, here, with their messages unacknowledged.

use std::fmt;
use std::future::Future;
use std::pin::pin;

use explain::explain;
use tokio::sync::mpsc;
use tracing::{error, info};

use super::batch::{Batch, Entry};
use super::spool::{Spool, SpoolError};

/// As many records as go together.
pub(super) const BATCH: usize = 256;

pub(super) struct Intake {
    incoming: mpsc::Receiver<Entry>,
    pub(super) spool: Option<Spool>,
    kept_back: Batch,
    /// Refused for good where there is no spool: their messages stay unacknowledged as long as this process runs.
    held: Batch,
    /// What is wrong with the spool, which has been said.
    spool_trouble: Option<String>,
}

/// No more records come: the audit log is gone.
#[derive(Debug)]
pub(super) struct Closed;

impl Intake {
    pub(super) fn new(incoming: mpsc::Receiver<Entry>, spool: Option<Spool>) -> Self {
        Self {
            incoming,
            spool,
            kept_back: Batch::default(),
            held: Batch::default(),
            spool_trouble: None,
        }
    }

    /// The next record and all that wait with it.
    pub(super) async fn next(&mut self) -> Result<Batch, Closed> {
        let mut entries = Vec::new();
        match self.incoming.recv_many(&mut entries, BATCH).await {
            0 => Err(Closed),
            _ => Ok(entries.into_iter().collect::<Batch>().wanted()),
        }
    }

    /// Keeps what comes in until `work` is done.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Closed> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                batch = self.next() => self.keep(batch?).await,
            }
        }
    }

    /// Commits records to the spool and tells so. Where it does not take them, or others wait for it already, they
    /// are kept back.
    pub(super) async fn keep(&mut self, batch: Batch) {
        let Some(spool) = self.spool.as_ref().filter(|_| self.kept_back.is_empty()) else {
            self.kept_back.append(batch);
            return;
        };
        if batch.is_empty() {
            return;
        }
        let Batch { records, waiting } = batch;
        let (records, kept) = spool.keep(records).await;
        let batch = Batch { records, waiting };
        match kept {
            Ok(()) => {
                batch.tell();
                self.spool_works();
            }
            Err(error) => {
                self.kept_back.append(batch);
                self.spool_fails(&error);
            }
        }
    }

    /// Keeps records that the sink has refused for good, each with the reason, in a table of their own; without a spool
    /// they are held, and where it fails they are kept back. Says whether nothing more is to be done.
    pub(super) async fn keep_refused(&mut self, refused: Vec<(Entry, String)>) -> bool {
        let (mut batch, mut rows) = (Batch::default(), Vec::with_capacity(refused.len()));
        for (entry, reason) in refused {
            rows.push((entry.record.clone(), reason));
            batch.extend([entry]);
        }
        let Some(spool) = &self.spool else {
            for record in &batch.records {
                tell_refused(&record.task_id, None);
            }
            self.held.append(batch);
            self.held = std::mem::take(&mut self.held).wanted();
            return true;
        };
        match spool.keep_refused(rows).await {
            Ok(()) => {
                for record in &batch.records {
                    tell_refused(&record.task_id, Some(spool));
                }
                batch.tell();
                true
            }
            Err(error) => {
                self.kept_back.append(batch);
                self.spool_fails(&error);
                false
            }
        }
    }

    /// Offers the spool again what it did not take.
    pub(super) async fn keep_what_is_kept_back(&mut self) {
        let batch = self.take_kept_back();
        self.keep(batch).await;
    }

    pub(super) fn take_kept_back(&mut self) -> Batch {
        std::mem::take(&mut self.kept_back).wanted()
    }

    pub(super) fn keeps_back(&self) -> bool {
        !self.kept_back.is_empty()
    }

    pub(super) fn spool_fails(&mut self, error: &SpoolError) {
        let trouble = explain(error);
        if self.spool_trouble.is_none() {
            error!(
                "{trouble}; records are kept back, and their messages unacknowledged, until it takes them"
            );
        }
        self.spool_trouble = Some(trouble);
    }

    pub(super) fn spool_works(&mut self) {
        if let (Some(_), Some(spool)) = (self.spool_trouble.take(), &self.spool) {
            info!("{spool} takes records again");
        }
    }
}

/// A refusal may quote the record, so the log does not have the reason.
pub(super) fn tell_refused(task_id: &str, kept_in: Option<&Spool>) {
    let Some(spool) = kept_in else {
        error!(
            "the audit log refuses the record of the task {task_id} for good; there is no spool to keep it \
             in, so that its message stays unacknowledged"
        );
        return;
    };
    error!(
        "the audit log refuses the record of the task {task_id} for good; it is kept, with the reason, in the table \
         `refused` of {spool}"
    );
}

impl fmt::Display for Intake {
    /// Where records go during an outage.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.spool, &self.spool_trouble) {
            (Some(spool), None) => write!(f, "records go to {spool} until it is back"),
            (Some(_), Some(trouble)) => write!(
                f,
                "{trouble}; records are kept back, and their messages unacknowledged, until one of them is back"
            ),
            (None, _) => f.write_str(
                "there is no spool; records are kept back, and their messages unacknowledged, until it is back",
            ),
        }
    }
}
