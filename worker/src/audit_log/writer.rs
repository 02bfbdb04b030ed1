//! The one writer of the audit log: straight to the sink while that works, else to the spool, which it replays in order
//! when the sink is back (ADR 39).

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use explain::explain;
use service_kit::admin::Part;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::batch::{Batch, Entry};
use super::intake::{BATCH, Closed, Intake, tell_refused};
use super::spool::{Left, Spool, SpoolError, Spooled, Turn};
use super::{AuditError, AuditRecord, AuditSink, Fate};

/// A sink that takes longer for new records is treated as one that is away: as many tasks as this time brings hold
/// their slots meanwhile.
const DEADLINE: Duration = Duration::from_millis(500);

/// So many times as long it may take at the start, where it connects.
const START: u32 = 4;

/// Nobody waits for records that are replayed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Records that wait to be taken into a batch, before tasks have to wait to get there.
const WAITING: usize = 1024;

/// An audit log that loses nothing: what its sink cannot take goes to a spool, and from there to the sink when that is back.
/// Says once when an outage begins and once when it is over.
#[derive(Debug)]
pub struct AuditLog {
    records: mpsc::Sender<Entry>,
    writer: JoinSet<()>,
}

impl AuditLog {
    /// An audit log without a spool: what the sink does not take is kept back and tried again until it does. `part` tells
    /// whether the sink takes records. Must be called within a tokio runtime; dropping the audit log ends its work.
    pub fn new(sink: impl AuditSink, part: Part) -> Self {
        Self::with_spool(sink, part, None)
    }

    /// The same with a spool, if there is one. What it holds from before is replayed first.
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

    /// Hands out the task that writes, for whoever watches it: without it, [`write`](Self::write) never returns. Dropped,
    /// it ends.
    pub fn take_writer(&mut self) -> JoinSet<()> {
        std::mem::take(&mut self.writer)
    }

    /// Returns when the record is durable in the sink or the spool, however long that takes. Dropping the future gives up.
    pub async fn write(&self, record: &AuditRecord) {
        let (durable, told) = oneshot::channel();
        let entry = Entry {
            record: record.clone(),
            durable,
        };
        if self.records.send(entry).await.is_err() || told.await.is_err() {
            // The writer has ended without having written it: nobody may take it for durable.
            std::future::pending::<()>().await;
        }
    }
}

struct Writer<S> {
    sink: S,
    part: Part,
    intake: Intake,
}

/// Why an attempt to end an outage failed.
enum Failure {
    /// The sink did not take the records.
    Sink(String),
    /// The spool did not give them, or cannot be rid of them.
    Spool(SpoolError),
    /// Another worker replays the spool.
    NotOurTurn,
}

/// What an outage has come to.
#[derive(Default)]
struct Outage {
    is_said: bool,
    replayed: usize,
    refused: usize,
    /// Whether what was replayed is still in the spool.
    is_left: bool,
}

/// What became of one batch from the spool.
struct Replayed {
    written: usize,
    refused: usize,
    is_last: bool,
    /// The number of the last of them.
    last: Option<i64>,
    /// Why they are still in the spool: its disk is so full that nothing can be removed either.
    left: Option<SpoolError>,
}

impl<S: AuditSink> Writer<S> {
    async fn run(mut self) {
        // An error means that nobody writes any more.
        let Err(Closed) = self.work().await;
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, Closed> {
        let mut trouble = self.start().await?;
        loop {
            if let Some(reason) = trouble {
                let mut outage = Outage::default();
                self.note(&mut outage, &reason);
                self.outage(outage).await?;
            }
            let batch = self.intake.next().await?;
            trouble = self.write(batch).await.err();
        }
    }

    /// Sees whether the sink is there, and replays what the spool has from before.
    async fn start(&mut self) -> Result<Option<String>, Closed> {
        if let Some(spool) = &self.intake.spool {
            let left = spool.left();
            let Left { waiting, refused } = left.unwrap_or_default();
            if refused > 0 {
                warn!(
                    "{spool} holds {} that the audit log has refused",
                    records(refused)
                );
            }
            if waiting > 0 {
                info!("{spool} holds {} from before; replaying", records(waiting));
            }
            if waiting > 0 || left.is_none() {
                self.outage(Outage::default()).await?;
                return Ok(None);
            }
        }
        let limit = self.limit().saturating_mul(START);
        match within(limit, self.sink.check()).await {
            Ok(()) => {
                self.part.ready();
                Ok(None)
            }
            Err(reason) => Ok(Some(reason)),
        }
    }

    /// How long a sink may take. Without a spool there is no use in giving it up before it does so itself.
    fn limit(&self) -> Duration {
        self.intake.spool.as_ref().map_or(Duration::MAX, |_| DEADLINE)
    }

    /// Writes new records to the sink, and puts in a safe place what it does not take. An error tells that there is
    /// an outage, and why.
    async fn write(&mut self, batch: Batch) -> Result<(), String> {
        if batch.is_empty() {
            return Ok(());
        }
        let fates = match within(self.limit(), self.sink.write(&batch.records)).await {
            Ok(fates) => fates,
            Err(reason) => {
                self.intake.keep(batch).await;
                return Err(reason);
            }
        };
        let (later, refused) = batch.tell_written(fates);
        let refusals_are_kept = refused.is_empty() || self.intake.keep_refused(refused).await;
        if let Some((batch, reason)) = later {
            self.intake.keep(batch).await;
            return Err(reason);
        }
        if refusals_are_kept {
            Ok(())
        } else {
            Err("the audit log refuses records for good, and there is no place to keep them".to_owned())
        }
    }

    /// Keeps records elsewhere until the sink is back and has all that the spool held.
    async fn outage(&mut self, mut outage: Outage) -> Result<(), Closed> {
        let mut pauses = pauses();
        if outage.is_said {
            self.intake
                .during(sleep(pauses.next().unwrap_or(LONGEST_PAUSE)))
                .await?;
        }
        loop {
            match self.replay(&mut outage).await? {
                Ok(()) => break,
                Err(Failure::Sink(reason)) => {
                    self.note(&mut outage, &reason);
                    self.intake.keep_what_is_kept_back().await;
                }
                Err(failure) => {
                    if let Failure::Spool(error) = &failure {
                        self.part.not_ready(explain(error));
                        self.intake.spool_fails(error);
                    }
                    self.intake.keep_what_is_kept_back().await;
                    // Nothing is known against the sink.
                    let batch = self.intake.take_kept_back();
                    if let Err(reason) = self.write(batch).await {
                        self.note(&mut outage, &reason);
                    }
                }
            }
            self.intake
                .during(sleep(pauses.next().unwrap_or(LONGEST_PAUSE)))
                .await?;
        }
        self.part.ready();
        if !outage.is_left {
            self.intake.spool_works();
        }
        if outage.is_said || outage.replayed > 0 {
            info!(
                "the audit log takes records again; {} were replayed from the spool, {} refused",
                outage.replayed, outage.refused
            );
        }
        if let Some(spool) = &self.intake.spool {
            spool.close().await;
        }
        Ok(())
    }

    /// Tries to bring everything to the sink, in order. While the last of it is under way, new records wait, so that none
    /// gets into the spool behind it.
    async fn replay(&mut self, outage: &mut Outage) -> Result<Result<(), Failure>, Closed> {
        if let Some(spool) = self.intake.spool.clone() {
            let turn = match spool.turn().await {
                Ok(Some(turn)) => turn,
                Ok(None) => return Ok(Err(Failure::NotOurTurn)),
                Err(error) => return Ok(Err(Failure::Spool(error))),
            };
            let (mut is_last, mut after) = (false, 0);
            outage.is_left = false;
            loop {
                let replayed = if is_last {
                    replay_oldest(&self.sink, &spool, &turn, after, DEADLINE).await
                } else {
                    let replaying = replay_oldest(&self.sink, &spool, &turn, after, PATIENCE);
                    self.intake.during(replaying).await?
                };
                let replayed = match replayed {
                    Ok(replayed) => replayed,
                    Err(failure) => return Ok(Err(failure)),
                };
                outage.replayed += replayed.written;
                outage.refused += replayed.refused;
                if let Some(error) = replayed.left {
                    // They go out again with the next replay, under the same names.
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
            let checked = within(Duration::MAX, self.sink.check()).await;
            return Ok(checked.map_err(Failure::Sink));
        }
        let batch = self.intake.take_kept_back();
        Ok(self.write(batch).await.map_err(Failure::Sink))
    }

    fn note(&self, outage: &mut Outage, reason: &str) {
        let text = format!("{reason}; {}", self.intake);
        if !outage.is_said {
            error!("{text}");
            outage.is_said = true;
        }
        self.part.not_ready(text);
    }
}

/// Brings the oldest records of the spool to the sink; where it has none, sees whether the sink is there.
async fn replay_oldest(
    sink: &impl AuditSink,
    spool: &Spool,
    _turn: &Turn,
    after: i64,
    limit: Duration,
) -> Result<Replayed, Failure> {
    let Spooled { ids, records } = spool.oldest(after, BATCH).await.map_err(Failure::Spool)?;
    let fates = within(limit, async {
        if records.is_empty() {
            sink.check().await.map(|()| Vec::new())
        } else {
            sink.write(&records).await
        }
    });
    let fates = fates.await.map_err(Failure::Sink)?;
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
            None => deferred = Some("the store does not tell what became of the record".to_owned()),
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
                tell_refused(task_id, Some(spool));
            }
        }
        Err(error @ SpoolError::Full { .. }) => {
            replayed.refused = 0;
            replayed.left = Some(error);
        }
        Err(error) => return Err(Failure::Spool(error)),
    }
    match deferred {
        None => Ok(replayed),
        Some(reason) => Err(Failure::Sink(reason)),
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, AuditError>>) -> Result<T, String> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|error| explain(&error)),
        Err(_) => Err(format!("the audit log has not answered for {limit:?}")),
    }
}

fn records(count: u32) -> String {
    match count {
        1 => "1 record".to_owned(),
        count => format!("{count} records"),
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}
