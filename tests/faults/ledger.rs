//! The outcome of each request: its answer, its callbacks and its records.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harness::Received;
use serde_json::Value;
use uuid::Uuid;

/// Every request by its station. Each request has a station of its own.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<HashMap<Uuid, Request>>);

/// A request and its outcome so far.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) asked: Instant,
    pub(crate) answer: Answer,
    pub(crate) answered: Instant,
    /// The time of each callback.
    pub(crate) called_back: Vec<Instant>,
    /// The status in the first callback.
    pub(crate) status: String,
    /// The time at which a record was first seen.
    pub(crate) logged: Option<Instant>,
    pub(crate) records: usize,
}

/// The API's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No answer yet.
    Open,
    /// 200.
    Accepted,
    /// 503.
    Refused,
    /// Any other status.
    Other(u16),
    /// No answer: the connection was refused or closed.
    None,
}

/// The totals of a ledger.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) accepted: usize,
    /// Requests answered with 503.
    pub(crate) refused: usize,
    /// Requests that got no answer at all.
    pub(crate) unanswered: usize,
    pub(crate) called_back: usize,
    pub(crate) logged: usize,
    pub(crate) lost: usize,
    /// Requests lost through the fault itself, for example in a queue that was deleted.
    pub(crate) deleted: usize,
    /// Callbacks and records beyond the first of each accepted request.
    pub(crate) duplicate_callbacks: usize,
    pub(crate) duplicate_records: usize,
    /// Answers with any other status. There must be none.
    pub(crate) others: Vec<Answer>,
    /// The number of callbacks per status.
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

    /// Notes a callback. Other requests to the receiver contain no station and are ignored.
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

    /// Notes the number of records for each station.
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

    /// The time from `end` until the first request made after it had been accepted, called back and logged.
    pub(crate) fn recovery(&self, end: Instant) -> Option<Duration> {
        let requests = self.requests();
        let settled = requests
            .values()
            .filter(|request| request.answer == Answer::Accepted && request.asked >= end)
            .filter_map(|request| Some((*request.called_back.first()?).max(request.logged?)));
        settled.min().map(|at| at - end)
    }

    /// The totals of all requests.
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

    /// Calls `look` with each request.
    pub(crate) fn each(&self, mut look: impl FnMut(&Request)) {
        self.requests().values().for_each(|request| look(request));
    }

    /// Forgets the requests for which `what` returns true.
    pub(crate) fn forget(&self, mut what: impl FnMut(&Request) -> bool) {
        self.requests().retain(|_, request| !what(request));
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<Uuid, Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    /// Whether the request was accepted but has no callback or no record.
    pub(crate) fn is_lacking(&self) -> bool {
        self.answer == Answer::Accepted && (self.called_back.is_empty() || self.logged.is_none())
    }
}
