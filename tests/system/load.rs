//! Requests at a steady rate, and an account of their outcomes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use harness::{Receiver, Redis, eventually};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::services::Api;

pub(crate) const TOKEN: &str = "validDriverToken-0001";

/// How long callbacks and records may take after the last request, even on a busy machine.
pub(crate) const SETTLE: Duration = Duration::from_mins(2);

/// The API's answers to the requests.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The stations whose request was answered 200.
    pub(crate) accepted: Vec<String>,
    /// The number of requests answered 503.
    pub(crate) unavailable: usize,
    /// All other outcomes: a status, or no answer.
    pub(crate) others: Vec<String>,
}

/// The maximum number of requests that a load sends if its test never ends it.
const MOST: usize = 100_000;

/// The maximum number of unanswered requests at a time. It reduces the rate on a slow machine instead of
/// making answers take ever longer: the API refuses a request that the broker has not confirmed within three
/// seconds.
const OPEN: usize = 32;

/// Requests that are sent while the test does something else.
pub(crate) struct Load {
    requests: JoinSet<JoinSet<(String, Option<u16>)>>,
    ended: CancellationToken,
}

impl Load {
    /// Starts sending `count` requests, one per `every`, each for its own station. Up to [`OPEN`] of them run
    /// concurrently.
    pub(crate) fn start(api: Arc<Api>, callback: String, count: usize, every: Duration) -> Self {
        let mut requests = JoinSet::new();
        let ended = CancellationToken::new();
        let told = ended.clone();
        requests.spawn(async move {
            let mut open = JoinSet::new();
            let places = Arc::new(Semaphore::new(OPEN));
            let mut tick = interval(every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for _ in 0..count {
                tokio::select! {
                    () = told.cancelled() => break,
                    _ = tick.tick() => {}
                }
                let place = Arc::clone(&places).acquire_owned().await;
                let place = place.expect("the places stay");
                let (api, callback) = (Arc::clone(&api), callback.clone());
                open.spawn(async move {
                    let station = Uuid::new_v4().to_string();
                    let answer = api.authorize(&station, TOKEN, &callback).await;
                    drop(place);
                    (station, answer.map(|answer| answer.status))
                });
            }
            open
        });
        Self { requests, ended }
    }

    /// Starts sending requests, one per `every`, until the test ends them.
    pub(crate) fn steady(api: Arc<Api>, callback: String, every: Duration) -> Self {
        Self::start(api, callback, MOST, every)
    }

    /// Stops sending and waits for the last answer.
    pub(crate) async fn end(self) -> Answers {
        self.ended.cancel();
        self.finished().await
    }

    /// Waits for the last answer.
    pub(crate) async fn finished(mut self) -> Answers {
        let mut answers = Answers::default();
        while let Some(open) = self.requests.join_next().await {
            for (station, status) in open.expect("the load runs to its end").join_all().await {
                match status {
                    Some(200) => answers.accepted.push(station),
                    Some(503) => answers.unavailable += 1,
                    other => answers.others.push(format!("{other:?}")),
                }
            }
        }
        answers
    }
}

/// The number of callbacks and records per station.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) callbacks: HashMap<String, usize>,
    pub(crate) records: HashMap<String, usize>,
}

impl Account {
    /// Waits until each of `stations` has at least one callback and one record.
    pub(crate) async fn of(stations: &[String], receiver: &Receiver, redis: &Redis) -> Self {
        eventually(
            "a callback and a record of each accepted request",
            SETTLE,
            || async {
                let callbacks: HashMap<String, usize> = receiver
                    .by_station()
                    .into_iter()
                    .map(|(station, calls)| (station, calls.len()))
                    .collect();
                let mut records = HashMap::new();
                for record in redis.audit_records().await {
                    *records.entry(record.field("station_id").to_owned()).or_default() += 1;
                }
                let lacking = |counts: &HashMap<String, usize>| {
                    stations
                        .iter()
                        .filter(|station| !counts.contains_key(*station))
                        .count()
                };
                match (lacking(&callbacks), lacking(&records)) {
                    (0, 0) => Ok(Self { callbacks, records }),
                    (called, recorded) => Err(format!(
                        "of {} accepted, {called} have no callback and {recorded} no record",
                        stations.len()
                    )),
                }
            },
        )
        .await
    }

    /// The number of callbacks beyond the first of each station.
    pub(crate) fn duplicates(&self) -> usize {
        self.callbacks.values().map(|calls| calls - 1).sum()
    }
}

/// The time since `start`, for the figures that a test prints.
pub(crate) fn seconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}
