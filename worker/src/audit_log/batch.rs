//! Records that are written together, each with the task that waits for it.

use tokio::sync::oneshot;

use super::record::AuditRecord;
use super::sink::Fate;

/// A record, and the channel on which to report that it is durable.
pub(super) struct Entry {
    pub(super) record: AuditRecord,
    pub(super) durable: oneshot::Sender<()>,
}

/// Entries to retry, and the reason.
pub(super) type Later = (Batch, String);

/// Entries, with their records in one list, as sinks need them.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<AuditRecord>,
    pub(super) waiting: Vec<oneshot::Sender<()>>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.records.append(&mut other.records);
        self.waiting.append(&mut other.waiting);
    }

    /// Removes the records that no task waits for any longer; their messages go back to the queue, unacknowledged.
    pub(super) fn wanted(self) -> Self {
        if self.waiting.iter().all(|durable| !durable.is_closed()) {
            return self;
        }
        self.entries()
            .filter(|entry| !entry.durable.is_closed())
            .collect()
    }

    /// Reports to all tasks that their records are durable.
    pub(super) fn tell(self) {
        for durable in self.waiting {
            // A task that has given up in the meantime does not need the report.
            let _ = durable.send(());
        }
    }

    /// Reports the written records to their tasks and returns the others: those to retry, and those that are
    /// permanently refused, each with the reason.
    pub(super) fn tell_written(self, fates: Vec<Fate>) -> (Option<Later>, Vec<(Entry, String)>) {
        let silence = || Fate::Deferred("the store did not report the outcome for the record".to_owned());
        let fates = fates.into_iter().chain(std::iter::repeat_with(silence));
        let (mut later, mut refused): (Option<Later>, _) = (None, Vec::new());
        for (entry, fate) in self.entries().zip(fates) {
            match fate {
                Fate::Written => {
                    let _ = entry.durable.send(());
                }
                Fate::Deferred(reason) => later
                    .get_or_insert_with(|| (Self::default(), reason))
                    .0
                    .extend([entry]),
                Fate::Refused(reason) => refused.push((entry, reason)),
            }
        }
        (later, refused)
    }

    fn entries(self) -> impl Iterator<Item = Entry> {
        self.records
            .into_iter()
            .zip(self.waiting)
            .map(|(record, durable)| Entry { record, durable })
    }
}

impl Extend<Entry> for Batch {
    fn extend<I: IntoIterator<Item = Entry>>(&mut self, entries: I) {
        for Entry { record, durable } in entries {
            self.records.push(record);
            self.waiting.push(durable);
        }
    }
}

impl FromIterator<Entry> for Batch {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut batch = Self::default();
        batch.extend(entries);
        batch
    }
}
