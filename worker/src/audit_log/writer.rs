//! The only writer of the audit log. It writes to the sink while that works, else to the spool, which it replays in
//! order when the sink is back (ADR 39).

use std::convert::Infallible;
use std::time::Duration;

use explain::explain;
use service_kit::readiness::Part;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::batch::{Batch, Entry};
use super::intake::{Closed, Intake};
use super::pauses::Pauses;
use super::record::AuditRecord;
use super::replay::{Unfinished, replay_oldest};
use super::sink::{AuditSink, SinkFailure, within};
use super::spool::{Left, Spool};

/// How long the sink may take for new records before it counts as unavailable. The tasks that arrive in this time hold
/// their slots meanwhile.
const DEADLINE: Duration = Duration::from_millis(500);

/// Multiplier on [`DEADLINE`] at the start, when the sink connects.
const START: u32 = 4;

/// How long the sink may take for replayed records, for which no task waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Maximum number of records that wait for a batch; further tasks wait until there is room.
const WAITING: usize = 1024;

/// An audit log that loses nothing. Records that its sink does not accept go to a spool, and from there to the sink
/// when it is back. Logs an outage once when it begins and once when it is over.
#[derive(Debug)]
pub struct AuditLog {
    records: mpsc::Sender<Entry>,
    writer: JoinSet<()>,
}

impl AuditLog {
    /// Creates an audit log without a spool. Records that the sink does not accept are held back and retried until it
    /// does. `part` shows whether the sink accepts records. Must be called within a tokio runtime; dropping the audit
    /// log ends its work.
    pub fn new(sink: impl AuditSink, part: Part) -> Self {
        Self::with_spool(sink, part, None)
    }

    /// Creates an audit log with a spool, if there is one. Records from an earlier run are replayed first.
    pub fn with_spool(sink: impl AuditSink, part: Part, spool: Option<Spool>) -> Self {
        let (records, incoming) = mpsc::channel(WAITING);
        let writer = Writer {
            sink,
            part,
            intake: Intake::new(incoming, spool),
        };
        let mut running = JoinSet::new();
        running.spawn(writer.run());
        Self {
            records,
            writer: running,
        }
    }

    /// Hands out the task that writes, so that it can be watched: if it ends, [`write`](Self::write) never returns.
    /// Dropping the returned set ends the task.
    pub fn take_writer(&mut self) -> JoinSet<()> {
        std::mem::take(&mut self.writer)
    }

    /// Returns when the record is durable in the sink or the spool, however long that takes. Dropping the future gives
    /// up.
    pub async fn write(&self, record: AuditRecord) {
        let (durable, told) = oneshot::channel();
        let entry = Entry { record, durable };
        if self.records.send(entry).await.is_err() || told.await.is_err() {
            // The writer ended without writing the record, which must not count as durable.
            std::future::pending::<()>().await;
        }
    }
}

struct Writer<S> {
    sink: S,
    part: Part,
    intake: Intake,
}

/// The state of an outage.
#[derive(Default)]
struct Outage {
    is_logged: bool,
    replayed: usize,
    refused: usize,
    /// Whether replayed records are still in the spool.
    is_left: bool,
}

impl<S: AuditSink> Writer<S> {
    async fn run(mut self) {
        // An error means that the audit log has been dropped.
        let Err(Closed) = self.work().await;
    }

    async fn work(&mut self) -> Result<Infallible, Closed> {
        if self.is_left_from_before() {
            self.outage(Outage::default()).await?;
        } else if let Err(failure) = self.find_sink().await {
            self.outage_by(&failure).await?;
        }
        loop {
            let batch = self.intake.next().await?;
            if let Err(failure) = self.write(batch).await {
                self.outage_by(&failure).await?;
            }
        }
    }

    /// Returns whether the spool holds records from an earlier run, or could not be read.
    fn is_left_from_before(&self) -> bool {
        let Some(spool) = &self.intake.spool else {
            return false;
        };
        let left = spool.left();
        let Left { waiting, refused } = left.unwrap_or_default();
        if refused > 0 {
            warn!("{spool} contains {} that the audit log refused", records(refused));
        }
        if waiting > 0 {
            info!(
                "{spool} contains {} from an earlier run; replaying",
                records(waiting)
            );
        }
        waiting > 0 || left.is_none()
    }

    async fn find_sink(&self) -> Result<(), SinkFailure> {
        within(self.limit().saturating_mul(START), self.sink.check()).await?;
        self.part.ready();
        Ok(())
    }

    /// Returns how long the sink may take. Without a spool, there is no use in giving up before the sink itself does.
    fn limit(&self) -> Duration {
        self.intake.spool.as_ref().map_or(Duration::MAX, |_| DEADLINE)
    }

    /// Writes new records to the sink, and keeps those that it does not accept in a safe place. An error means an
    /// outage.
    async fn write(&mut self, batch: Batch) -> Result<(), SinkFailure> {
        if batch.is_empty() {
            return Ok(());
        }
        let fates = match within(self.limit(), self.sink.write(&batch.records)).await {
            Ok(fates) => fates,
            Err(failure) => {
                self.intake.keep(batch).await;
                return Err(failure);
            }
        };
        let (later, refused) = batch.tell_written(fates);
        let refusals_are_kept = refused.is_empty() || self.intake.keep_refused(refused).await;
        if let Some((batch, reason)) = later {
            self.intake.keep(batch).await;
            return Err(SinkFailure::Deferred(reason));
        }
        if refusals_are_kept {
            Ok(())
        } else {
            Err(SinkFailure::NoPlaceForRefused)
        }
    }

    /// Handles the outage that begins with `failure` until its end. The first attempt to end it comes after a pause.
    async fn outage_by(&mut self, failure: &SinkFailure) -> Result<(), Closed> {
        let mut outage = Outage::default();
        self.note(&mut outage, failure);
        self.outage(outage).await
    }

    /// Keeps records elsewhere until the sink is back and the spool has been replayed.
    async fn outage(&mut self, mut outage: Outage) -> Result<(), Closed> {
        let mut pauses = Pauses::new();
        if outage.is_logged {
            self.intake.during(pauses.pause()).await?;
        }
        loop {
            match self.replay(&mut outage).await {
                Ok(()) => break,
                Err(Unfinished::Closed(closed)) => return Err(closed),
                Err(Unfinished::Sink(failure)) => {
                    self.note(&mut outage, &failure);
                    self.intake.keep_what_is_kept_back().await;
                }
                Err(Unfinished::Spool(error)) => {
                    self.part.not_ready(explain(&error));
                    self.intake.spool_fails(&error);
                    self.write_without_replay(&mut outage).await;
                }
                Err(Unfinished::NotOurTurn) => self.write_without_replay(&mut outage).await,
            }
            self.intake.during(pauses.pause()).await?;
        }
        self.part.ready();
        if !outage.is_left {
            self.intake.spool_works();
        }
        if outage.is_logged || outage.replayed > 0 {
            info!(
                "the audit log accepts records again; {} were replayed from the spool, {} were refused",
                outage.replayed, outage.refused
            );
        }
        if let Some(spool) = &self.intake.spool {
            spool.close().await;
        }
        Ok(())
    }

    /// Offers the records that were held back to the spool and then to the sink, which may be available.
    async fn write_without_replay(&mut self, outage: &mut Outage) {
        self.intake.keep_what_is_kept_back().await;
        let batch = self.intake.take_kept_back();
        if let Err(failure) = self.write(batch).await {
            self.note(outage, &failure);
        }
    }

    /// Tries to write everything to the sink, in order. During the last batch, new records wait, so that none gets into
    /// the spool behind it.
    async fn replay(&mut self, outage: &mut Outage) -> Result<(), Unfinished> {
        if let Some(spool) = self.intake.spool.clone() {
            let turn = spool.turn().await?.ok_or(Unfinished::NotOurTurn)?;
            let (mut is_last, mut after) = (false, 0);
            outage.is_left = false;
            loop {
                let replayed = if is_last {
                    replay_oldest(&self.sink, &spool, &turn, after, DEADLINE).await?
                } else {
                    let replaying = replay_oldest(&self.sink, &spool, &turn, after, PATIENCE);
                    self.intake.during_attempt(replaying).await?
                };
                outage.replayed += replayed.written;
                outage.refused += replayed.refused;
                if let Some(error) = replayed.left {
                    // The next replay sends them again, under the same names.
                    self.intake.spool_fails(&error);
                    outage.is_left = true;
                    after = replayed.last.unwrap_or(after);
                }
                if is_last && replayed.is_last {
                    break;
                }
                is_last = replayed.is_last;
                if !is_last {
                    self.intake.keep_what_is_kept_back().await;
                }
            }
        } else if !self.intake.keeps_back() {
            return Ok(within(Duration::MAX, self.sink.check()).await?);
        }
        let batch = self.intake.take_kept_back();
        Ok(self.write(batch).await?)
    }

    fn note(&self, outage: &mut Outage, failure: &SinkFailure) {
        let text = format!("{}; {}", explain(failure), self.intake);
        if !outage.is_logged {
            error!("{text}");
            outage.is_logged = true;
        }
        self.part.not_ready(text);
    }
}

fn records(count: u32) -> String {
    match count {
        1 => "1 record".to_owned(),
        count => format!("{count} records"),
    }
}
