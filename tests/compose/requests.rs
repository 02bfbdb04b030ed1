//! Requests that are tracked until their callback and audit record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use harness::{eventually, http};

use crate::stack::{Stack, WAIT};

pub(crate) const TOKEN: &str = "validDriverToken-0001";

/// The stations of one part of the test. Their ids begin with eight digits of their own, which serve to search the
/// log.
pub(crate) struct Batch {
    pub(crate) prefix: String,
    next: AtomicU32,
}

impl Batch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0xc000_0001);
        Self {
            prefix: format!("{:08x}", NEXT.fetch_add(1, Ordering::Relaxed)),
            next: AtomicU32::new(0),
        }
    }

    /// The id of the station with this number.
    pub(crate) fn station(&self, number: u32) -> String {
        format!("{}-0000-4000-8000-{number:012x}", self.prefix)
    }

    /// The id of a station for which no request has been sent yet.
    pub(crate) fn next_station(&self) -> String {
        self.station(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn stations(&self, count: u32) -> Vec<String> {
        (0..count).map(|number| self.station(number)).collect()
    }
}

/// The outcomes of accepted requests.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    pub(crate) accepted: usize,
    /// Requests that were called back, or recorded, more than once.
    pub(crate) called_twice: usize,
    pub(crate) recorded_twice: usize,
    pub(crate) verdicts: BTreeMap<String, usize>,
}

/// Waits until each of these stations is called back and recorded. A request for which this does not happen is
/// lost, and the test fails.
pub(crate) async fn settled(stack: &Stack, batch: &Batch, accepted: &[String], what: &str) -> Fate {
    eventually(
        format!("{what}: {} callbacks and records", accepted.len()),
        WAIT,
        || async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            fate(stack, batch, accepted)
        },
    )
    .await
}

fn fate(stack: &Stack, batch: &Batch, accepted: &[String]) -> Result<Fate, String> {
    let callbacks = stack.receiver.by_station();
    let calls = |station: &String| callbacks.get(station).map_or(0, Vec::len);
    let uncalled = accepted.iter().filter(|station| calls(station) == 0).count();
    if uncalled > 0 {
        return Err(format!("{uncalled} are not called back"));
    }
    let mut records: BTreeMap<String, usize> = BTreeMap::new();
    let mut fate = Fate {
        accepted: accepted.len(),
        called_twice: accepted.iter().filter(|station| calls(station) > 1).count(),
        ..Fate::default()
    };
    for record in stack.records(&batch.prefix) {
        *records.entry(record.station).or_default() += 1;
    }
    let recorded = |station: &String| records.get(station).copied().unwrap_or(0);
    let unrecorded = accepted.iter().filter(|station| recorded(station) == 0).count();
    if unrecorded > 0 {
        return Err(format!("{unrecorded} are not recorded"));
    }
    fate.recorded_twice = accepted.iter().filter(|station| recorded(station) > 1).count();
    for station in accepted {
        *fate
            .verdicts
            .entry(callbacks[station][0].field("status"))
            .or_default() += 1;
    }
    Ok(fate)
}

/// Sends a request for an authorization and returns whether it is accepted.
pub(crate) async fn authorize(url: &str, callback_url: &str) -> bool {
    let url = format!("{url}?callback_url={callback_url}");
    let answer = http::try_send("GET", &url, &[], "").await;
    answer.is_ok_and(|answer| answer.status == 200)
}
