//! Which runs are under way and which have ended: Celery's `worker/state.py`.

use std::collections::{HashMap, VecDeque};

use crate::settlement::Settlement;
use crate::task::Run;
use crate::worker::delivery::Delivery;

/// How many ended runs are remembered, to recognise their redelivery.
const REMEMBERED: usize = 10_000;

/// The runs that this process has taken on.
///
/// After a lost connection the broker delivers again what was not acked, while the run it stands for may still
/// go on here, or has just ended. Such a redelivery is not run twice: it is settled with the first one's result.
#[derive(Debug, Default)]
pub(crate) struct State {
    active: HashMap<Token, Active>,
    by_run: HashMap<Run, Token>,
    next_token: u64,
    ended: HashMap<Run, Settlement>,
    ended_in_order: VecDeque<Run>,
}

/// One run in this process. Two messages may carry the same task id; they are two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token(u64);

#[derive(Debug)]
struct Active {
    run: Run,
    /// What is settled when it ends. Those of lost connections cannot be any more, which does no harm.
    deliveries: Vec<Delivery>,
}

/// What a delivery is to this process.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Not seen before, or to be run again.
    New(Delivery),
    /// The broker's second delivery of a run that goes on here; it is settled when that run ends.
    UnderWay,
    /// The broker's second delivery of a run that has ended here.
    Ended(Delivery, Settlement),
}

impl State {
    /// Recognises a redelivery.
    pub(crate) fn arrived(&mut self, run: &Run, delivery: Delivery) -> Arrival {
        if !delivery.info.redelivered {
            return Arrival::New(delivery);
        }
        if let Some(active) = self.by_run.get(run).and_then(|token| self.active.get_mut(token)) {
            active.deliveries.push(delivery);
            return Arrival::UnderWay;
        }
        match self.ended.get(run) {
            Some(settlement) => Arrival::Ended(delivery, *settlement),
            None => Arrival::New(delivery),
        }
    }

    /// A run starts. `delivery` is `None` when it was settled before (acks early).
    pub(crate) fn started(&mut self, run: Run, delivery: Option<Delivery>) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.by_run.insert(run.clone(), token);
        let deliveries = Vec::from_iter(delivery);
        self.active.insert(token, Active { run, deliveries });
        token
    }

    /// A run has ended; what is left to settle, if anything. One that shall be delivered again is forgotten.
    pub(crate) fn ended(&mut self, token: Token, settlement: Settlement) -> Vec<Delivery> {
        let Some(Active { run, deliveries }) = self.active.remove(&token) else {
            return Vec::new();
        };
        if self.by_run.get(&run) == Some(&token) {
            self.by_run.remove(&run);
        }
        if settlement != (Settlement::Reject { requeue: true }) {
            self.remember(run, settlement);
        }
        deliveries
    }

    fn remember(&mut self, run: Run, settlement: Settlement) {
        if self.ended.insert(run.clone(), settlement).is_none() {
            self.ended_in_order.push_back(run);
        }
        if self.ended_in_order.len() > REMEMBERED
            && let Some(oldest) = self.ended_in_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}
