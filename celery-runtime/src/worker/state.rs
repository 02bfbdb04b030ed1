//! The requests that this process holds, and the last ones that have ended: Celery's `worker/state.py`.

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

/// The table of requests: those that wait for their ETA, their task's rate limit or a slot, those that run, and the
/// last ones that have ended.
///
/// After a lost connection the broker redelivers the unacked messages, whose runs may still be active here, or may
/// have just ended. Such a redelivery is not run twice: it is settled with the result of the first run.
#[derive(Debug)]
pub(crate) struct State {
    reserved: VecDeque<Reserved>,
    schedule: Schedule<Reserved>,
    rate_limits: RateLimits<Reserved>,
    /// Runs by their id in the pool. Two messages may carry the same task id; they are two runs.
    active: HashMap<Id, Active>,
    /// The ids of runs, to recognise redeliveries.
    by_key: HashMap<RunKey, Id>,
    ended: Ended,
    settings: TaskSettings,
}

/// A request that does not run yet. It is unsettled.
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
    pub(crate) unsettled: Unsettled,
}

/// What remains to be settled of a run.
#[derive(Debug)]
pub(crate) enum Unsettled {
    /// Nothing: it was acked before its run.
    Early,
    /// The deliveries to settle when it ends. Those of lost connections can no longer be settled, which does no harm.
    Late(Vec<Delivery>),
}

/// A request that need not wait any more.
#[derive(Debug)]
pub(crate) enum Ready {
    /// Its ETA has arrived.
    Due(Reserved),
    /// The rate limit of its task lets it start.
    Released(Reserved),
}

/// The relation of a delivery to the runs of this process.
#[derive(Debug)]
pub(crate) enum Recognition {
    /// The delivery is new, or is to run again.
    New(Delivery),
    /// A redelivery of a run that is still active here; it is settled when that run ends.
    Running,
    /// A redelivery of a run that is still active here and was acked before: that ack was lost.
    AckedEarly(Delivery),
    /// A redelivery of a run that has ended here.
    Ended(Delivery, Settlement),
}

impl State {
    /// Creates an empty table with the settings of `registry`.
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

    /// Returns how many requests wait for their ETA.
    pub(crate) fn scheduled(&self) -> usize {
        self.schedule.len()
    }

    /// Queues a request for a slot, if necessary after waiting for its task's rate limit.
    pub(crate) fn admit(&mut self, reserved: Reserved) {
        let task = Arc::clone(&reserved.task);
        let name = &task.options().name;
        let admitted = match self.settings.of(name).rate_limit {
            Some(rate) => self.rate_limits.admit(name, rate, reserved),
            None => Some(reserved),
        };
        self.reserved.extend(admitted);
    }

    /// Returns the time limits of this task, which apply unless a message has its own.
    pub(crate) fn time_limits(&self, task: &RegisteredTask) -> TimeLimits {
        self.settings.of(&task.options().name).time_limits
    }

    /// Queues a request for a slot.
    pub(crate) fn reserve(&mut self, reserved: Reserved) {
        self.reserved.push_back(reserved);
    }

    /// Takes the next request for a free slot.
    pub(crate) fn next_reserved(&mut self) -> Option<Reserved> {
        self.reserved.pop_front()
    }

    /// Waits for the next request whose ETA has arrived or that its rate limit lets start; forever if there is
    /// none. It is safe to cancel, such as in a `select!`.
    pub(crate) async fn ready(&mut self) -> Ready {
        tokio::select! {
            biased;
            reserved = self.schedule.next() => Ready::Due(reserved),
            reserved = self.rate_limits.next() => Ready::Released(reserved),
        }
    }

    /// Returns how many requests wait for a slot or for their task's rate limit.
    pub(crate) fn backlog(&self) -> usize {
        self.reserved.len() + self.rate_limits.len()
    }

    /// Forgets every request that does not run; unsettled messages are redelivered.
    pub(crate) fn forget_waiting(&mut self) {
        self.reserved.clear();
        self.schedule.clear();
        self.rate_limits.clear();
    }

    /// Checks whether a delivery is a redelivery of a known run.
    pub(crate) fn recognise(&mut self, request: &Request, delivery: Delivery) -> Recognition {
        if !request.redelivered() {
            return Recognition::New(delivery);
        }
        let key = request.run_key();
        if let Some(active) = self.by_key.get(&key).and_then(|id| self.active.get_mut(id)) {
            return match &mut active.unsettled {
                Unsettled::Early => Recognition::AckedEarly(delivery),
                Unsettled::Late(deliveries) => {
                    deliveries.push(delivery);
                    Recognition::Running
                }
            };
        }
        match self.ended.settlement(&key) {
            Some(settlement) => Recognition::Ended(delivery, settlement),
            None => Recognition::New(delivery),
        }
    }

    /// Registers a started run. An earlier run of the same key, if there was one, is no longer what a redelivery stands for.
    pub(crate) fn started(&mut self, id: Id, active: Active) {
        let key = active.request.run_key();
        self.ended.forget(&key);
        self.by_key.insert(key, id);
        self.active.insert(id, active);
    }

    /// Removes a run that has ended from the table.
    pub(crate) fn take(&mut self, id: Id) -> Option<Active> {
        let active = self.active.remove(&id)?;
        let key = active.request.run_key();
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
        }
        Some(active)
    }

    /// Remembers how a run was settled, unless it is to be redelivered and run again.
    pub(crate) fn ended(&mut self, request: &Request, settlement: Settlement) {
        let key = request.run_key();
        if settlement == (Settlement::Reject { requeue: true }) {
            self.ended.forget(&key);
        } else {
            self.ended.remember(key, settlement);
        }
    }
}
