//! The intake of records. While the sink does not accept them, they are kept in the spool or, if the spool does not
//! accept them either, here, with their messages unacknowledged.

use std::fmt;
use std::future::Future;
use std::pin::pin;

use explain::explain;
use tokio::sync::mpsc;
use tracing::{error, info};

use super::batch::{Batch, Entry};
use super::spool::{Spool, SpoolError};

/// Maximum records per batch.
pub(super) const BATCH: usize = 256;

pub(super) struct Intake {
    incoming: mpsc::Receiver<Entry>,
    pub(super) spool: Option<Spool>,
    kept_back: Batch,
    /// Records that were permanently refused and have no spool to be kept in. Their messages stay unacknowledged as
    /// long as this process runs.
    held: Batch,
    /// The trouble with the spool, which has already been logged.
    spool_trouble: Option<String>,
}

/// The audit log has been dropped, so no more records arrive.
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

    /// Waits for the next record and returns it with all others that are waiting.
    pub(super) async fn next(&mut self) -> Result<Batch, Closed> {
        let mut entries = Vec::new();
        match self.incoming.recv_many(&mut entries, BATCH).await {
            0 => Err(Closed),
            _ => Ok(entries.into_iter().collect::<Batch>().wanted()),
        }
    }

    /// Keeps incoming records until `work` is done.
    pub(super) async fn during(&mut self, work: impl Future<Output = ()>) -> Result<(), Closed> {
        let attempt = async {
            work.await;
            Ok(())
        };
        self.during_attempt(attempt).await
    }

    /// Keeps incoming records until `attempt` is over.
    pub(super) async fn during_attempt<T, E: From<Closed>>(
        &mut self,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut attempt = pin!(attempt);
        loop {
            tokio::select! {
                done = &mut attempt => return done,
                batch = self.next() => self.keep(batch?).await,
            }
        }
    }

    /// Commits records to the spool and reports them as durable. If the spool does not accept them, or if others
    /// already wait for it, they are held back.
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

    /// Keeps records that the sink has permanently refused, each with the reason, in a separate table of the spool.
    /// Without a spool, they stay here as long as the process runs; if the spool fails, they are held back. Returns
    /// whether nothing more is to be done.
    pub(super) async fn keep_refused(&mut self, refused: Vec<(Entry, String)>) -> bool {
        let (rows, waiting): (Vec<_>, Vec<_>) = refused
            .into_iter()
            .map(|(Entry { record, durable }, reason)| ((record, reason), durable))
            .unzip();
        let (rows, kept) = match &self.spool {
            Some(spool) => spool.keep_refused(rows).await,
            None => (rows, Ok(())),
        };
        let records = rows.into_iter().map(|(record, _)| record).collect();
        let batch = Batch { records, waiting };
        if let Err(error) = kept {
            self.kept_back.append(batch);
            self.spool_fails(&error);
            return false;
        }
        for record in &batch.records {
            log_refused(&record.task_id, self.spool.as_ref());
        }
        if self.spool.is_some() {
            batch.tell();
        } else {
            self.held.append(batch);
            self.held = std::mem::take(&mut self.held).wanted();
        }
        true
    }

    /// Offers the records that were held back to the spool again.
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
                "{trouble}; records are held back and their messages stay unacknowledged until the spool accepts them"
            );
        }
        self.spool_trouble = Some(trouble);
    }

    pub(super) fn spool_works(&mut self) {
        if let (Some(_), Some(spool)) = (self.spool_trouble.take(), &self.spool) {
            info!("{spool} accepts records again");
        }
    }
}

/// Logs a refusal, without the reason, which may quote the record.
pub(super) fn log_refused(task_id: &str, kept_in: Option<&Spool>) {
    let Some(spool) = kept_in else {
        error!(
            "the audit log permanently refuses the record of task {task_id}; there is no spool to keep it in, so its \
             message stays unacknowledged"
        );
        return;
    };
    error!(
        "the audit log permanently refuses the record of task {task_id}; it is kept, with the reason, in the table \
         `refused` of {spool}"
    );
}

impl fmt::Display for Intake {
    /// Writes where records go during an outage.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.spool, &self.spool_trouble) {
            (Some(spool), None) => write!(f, "records go to {spool} until the audit log is back"),
            (Some(_), Some(trouble)) => write!(
                f,
                "{trouble}; records are held back and their messages stay unacknowledged until one of the two is back"
            ),
            (None, _) => f.write_str(
                "there is no spool; records are held back and their messages stay unacknowledged until the audit log is back",
            ),
        }
    }
}
