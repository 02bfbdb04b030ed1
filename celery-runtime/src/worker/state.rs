//! Every message that this process has taken on and not settled yet: Celery's `worker/state.py`.

mod ended;
mod rate_limits;
mod schedule;
mod settings;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::Id;

use self::ended::Ended;
use self::rate_limits::RateLimits;
use self::schedule::Schedule;
use self::settings::TaskSettings;
use super::delivery::Delivery;
use crate::task::registry::{RegisteredTask, Registry};
use crate::task::request::{Request, RunKey};
use crate::task::settlement::Settlement;
use crate::task::time_limits::TimeLimits;

/// The table of requests: those that wait for their time, their task's rate or a slot, those that run, and the last ones that
/// have ended.
///
/// After a lost connection the broker delivers again what was not acked, while the run it stands for may still go on here, or
/// has just ended. Such a redelivery is not run twice: it is settled with the first one's result.
#[derive(Debug)]
pub(crate) struct State {
    reserved: VecDeque<Reserved>,
    schedule: Schedule<Reserved>,
    rate_limits: RateLimits<Reserved>,
    /// By the id of the run in the pool. Two messages may carry the same task id; they are two runs.
    active: HashMap<Id, Active>,
    /// The run that a redelivery is recognised by.
    by_key: HashMap<RunKey, Id>,
    ended: Ended,
    settings: TaskSettings,
}

/// A request that does not run yet. Unsettled.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) delivery: Delivery,
    pub(crate) request: Request,
    pub(crate) task: Arc<RegisteredTask>,
}

/// A request that runs.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) request: Request,
    pub(crate) task: Arc<RegisteredTask>,
    /// What is settled when it ends: nothing if it was acked before its run. Those of lost connections cannot be settled any
    /// more, which does no harm.
    pub(crate) deliveries: Vec<Delivery>,
}

/// A request whose waiting is over.
#[derive(Debug)]
pub(crate) enum Ready {
    /// Its ETA has come.
    Due(Reserved),
    /// The rate of its task lets it go.
    Released(Reserved),
}

/// What a delivery is to this process.
#[derive(Debug)]
pub(crate) enum Recognition {
    /// Not seen before, or to be run again.
    New(Delivery),
    /// The broker's second delivery of a run that goes on here; it is settled when that run ends.
    UnderWay,
    /// The broker's second delivery of a run that has ended here.
    Ended(Delivery, Settlement),
}

impl State {
    /// Nothing waits and nothing runs; the settings of `registry` hold.
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            reserved: VecDeque::new(),
            schedule: Schedule::new(),
            rate_limits: RateLimits::new(),
            active: HashMap::new(),
            by_key: HashMap::new(),
            ended: Ended::default(),
            settings: TaskSettings::new(registry),
        }
    }

    /// Keeps a request until its ETA.
    pub(crate) fn hold(&mut self, eta: Timestamp, reserved: Reserved) {
        self.schedule.hold(eta, reserved);
    }

    /// How many requests wait for their ETA.
    pub(crate) fn scheduled(&self) -> usize {
        self.schedule.len()
    }

    /// Lets a request wait for a slot, if need be after waiting for its task's rate.
    pub(crate) fn admit(&mut self, reserved: Reserved) {
        let task = Arc::clone(&reserved.task);
        let name = &task.options().name;
        let admitted = match self.settings.of(name).rate_limit {
            Some(rate) => self.rate_limits.admit(name, rate, reserved),
            None => Some(reserved),
        };
        self.reserved.extend(admitted);
    }

    /// How long a run of this task may take unless its message has limits of its own.
    pub(crate) fn time_limits(&self, task: &RegisteredTask) -> TimeLimits {
        self.settings.of(&task.options().name).time_limits
    }

    /// Lets a request wait for a slot.
    pub(crate) fn reserve(&mut self, reserved: Reserved) {
        self.reserved.push_back(reserved);
    }

    /// The next request for a free slot.
    pub(crate) fn next_reserved(&mut self) -> Option<Reserved> {
        self.reserved.pop_front()
    }

    /// Waits for the next request whose ETA has come or that its rate lets go; for ever when there is none. Losing the race in
    /// a `select!` loses nothing.
    pub(crate) async fn ready(&mut self) -> Ready {
        tokio::select! {
            biased;
            reserved = self.schedule.next() => Ready::Due(reserved),
            reserved = self.rate_limits.next() => Ready::Released(reserved),
        }
    }

    /// Whether no request waits for a slot or for its task's rate.
    pub(crate) fn has_no_backlog(&self) -> bool {
        self.reserved.is_empty() && self.rate_limits.is_empty()
    }

    /// Forgets every request that does not run; what was not settled is delivered again.
    pub(crate) fn forget_waiting(&mut self) {
        self.reserved.clear();
        self.schedule.clear();
        self.rate_limits.clear();
    }

    /// Recognises a redelivery.
    pub(crate) fn recognise(&mut self, request: &Request, delivery: Delivery) -> Recognition {
        if !request.redelivered() {
            return Recognition::New(delivery);
        }
        let key = request.run_key();
        if let Some(active) = self.by_key.get(&key).and_then(|id| self.active.get_mut(id)) {
            active.deliveries.push(delivery);
            return Recognition::UnderWay;
        }
        match self.ended.settlement(&key) {
            Some(settlement) => Recognition::Ended(delivery, settlement),
            None => Recognition::New(delivery),
        }
    }

    /// A run has started.
    pub(crate) fn started(&mut self, id: Id, active: Active) {
        self.by_key.insert(active.request.run_key(), id);
        self.active.insert(id, active);
    }

    /// Takes a run that has ended out of the table.
    pub(crate) fn take(&mut self, id: Id) -> Option<Active> {
        let active = self.active.remove(&id)?;
        let key = active.request.run_key();
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
        }
        Some(active)
    }

    /// Remembers how a run was settled. One that shall be delivered again is forgotten.
    pub(crate) fn ended(&mut self, request: &Request, settlement: Settlement) {
        if settlement != (Settlement::Reject { requeue: true }) {
            self.ended.remember(request.run_key(), settlement);
        }
    }
}
