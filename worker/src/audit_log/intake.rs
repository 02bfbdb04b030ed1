//! Where records come in, and where they stay while the sink cannot take them: in the spool, or, if that cannot either,
//! here, with their messages unacknowledged.

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
    /// Refused for good, without a spool to keep them: their messages stay unacknowledged as long as this process runs.
    held: Batch,
    /// What is wrong with the spool, which has been logged.
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
    pub(super) async fn during(&mut self, work: impl Future<Output = ()>) -> Result<(), Closed> {
        let attempt = async {
            work.await;
            Ok(())
        };
        self.during_attempt(attempt).await
    }

    /// Keeps what comes in until `attempt` is over.
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

    /// Commits records to the spool and reports them durable. If it does not take them, or others wait for it already,
    /// they are kept back.
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
    /// they are held, and if it fails they are kept back. Returns whether nothing more is to be done.
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

/// Logs a refusal, without the reason: that may quote the record.
pub(super) fn log_refused(task_id: &str, kept_in: Option<&Spool>) {
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
