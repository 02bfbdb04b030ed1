//! What became of each request: its answer, its callbacks, its records.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harness::Received;
use serde_json::Value;
use uuid::Uuid;

/// Every request by its station, which no other request is for.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<HashMap<Uuid, Request>>);

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) asked: Instant,
    pub(crate) answer: Answer,
    pub(crate) answered: Instant,
    /// When each callback came.
    pub(crate) called_back: Vec<Instant>,
    /// What the first callback said.
    pub(crate) status: String,
    /// When a record was first seen.
    pub(crate) logged: Option<Instant>,
    pub(crate) records: usize,
}

/// What the API answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Not yet.
    Open,
    /// 200.
    Accepted,
    /// 503.
    Refused,
    /// Another status.
    Other(u16),
    /// None: the connection was refused or ended.
    None,
}

/// The sum of a ledger.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) accepted: usize,
    /// Answered 503.
    pub(crate) refused: usize,
    /// Not answered at all.
    pub(crate) unanswered: usize,
    pub(crate) called_back: usize,
    pub(crate) logged: usize,
    pub(crate) lost: usize,
    /// Lost by the fault itself, such as a queue that was deleted.
    pub(crate) deleted: usize,
    /// Callbacks and records beyond the first of each accepted request.
    pub(crate) duplicate_callbacks: usize,
    pub(crate) duplicate_records: usize,
    /// Other answers; there must be none.
    pub(crate) others: Vec<Answer>,
    /// What was called back, and how often.
    pub(crate) statuses: BTreeMap<String, usize>,
}

impl Ledger {
    pub(crate) fn asked(&self, station: Uuid) {
        let now = Instant::now();
        let request = Request {
            asked: now,
            answer: Answer::Open,
            answered: now,
            called_back: Vec::new(),
            status: String::new(),
            logged: None,
            records: 0,
        };
        self.requests().insert(station, request);
    }

    pub(crate) fn answered(&self, station: Uuid, status: Option<u16>) {
        if let Some(request) = self.requests().get_mut(&station) {
            request.answered = Instant::now();
            request.answer = match status {
                Some(200) => Answer::Accepted,
                Some(503) => Answer::Refused,
                Some(other) => Answer::Other(other),
                None => Answer::None,
            };
        }
    }

    /// Takes down a callback; other requests to the receiver say nothing of a station.
    pub(crate) fn called_back(&self, callback: &Received) {
        let Ok(body) = serde_json::from_slice::<Value>(&callback.body) else {
            return;
        };
        let station = body["station_id"].as_str().and_then(|id| id.parse().ok());
        let mut requests = self.requests();
        let Some(request) = station.and_then(|station: Uuid| requests.get_mut(&station)) else {
            return;
        };
        request.called_back.push(callback.at);
        if request.status.is_empty() {
            body["status"]
                .as_str()
                .unwrap_or("none")
                .clone_into(&mut request.status);
        }
    }

    /// Takes down how many records there are for each station.
    pub(crate) fn logged(&self, records: &HashMap<Uuid, usize>) {
        let now = Instant::now();
        let mut requests = self.requests();
        for (station, count) in records {
            if let Some(request) = requests.get_mut(station) {
                request.logged.get_or_insert(now);
                request.records = *count;
            }
        }
    }

    /// How long after `end` the first request that was made since then had been accepted, called back and logged.
    pub(crate) fn recovery(&self, end: Instant) -> Option<Duration> {
        let requests = self.requests();
        let settled = requests
            .values()
            .filter(|request| request.answer == Answer::Accepted && request.asked >= end)
            .filter_map(|request| Some((*request.called_back.first()?).max(request.logged?)));
        settled.min().map(|at| at - end)
    }

    /// The sum of all requests.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for request in self.requests().values() {
            match request.answer {
                Answer::Accepted => {}
                Answer::Refused => figures.refused += 1,
                Answer::None => figures.unanswered += 1,
                Answer::Open => {}
                other @ Answer::Other(_) => figures.others.push(other),
            }
            if request.answer != Answer::Accepted {
                continue;
            }
            figures.accepted += 1;
            figures.called_back += usize::from(!request.called_back.is_empty());
            figures.logged += usize::from(request.logged.is_some());
            figures.lost += usize::from(request.is_lacking());
            figures.duplicate_callbacks += request.called_back.len().saturating_sub(1);
            figures.duplicate_records += request.records.saturating_sub(1);
            *figures.statuses.entry(request.status.clone()).or_default() += 1;
        }
        figures
    }

    /// Looks at each request.
    pub(crate) fn each(&self, mut look: impl FnMut(&Request)) {
        self.requests().values().for_each(|request| look(request));
    }

    /// Forgets requests.
    pub(crate) fn forget(&self, mut what: impl FnMut(&Request) -> bool) {
        self.requests().retain(|_, request| !what(request));
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<Uuid, Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    /// Whether it was accepted and lacks its callback or its record.
    pub(crate) fn is_lacking(&self) -> bool {
        self.answer == Answer::Accepted && (self.called_back.is_empty() || self.logged.is_none())
    }
}
