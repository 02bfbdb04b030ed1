//! The last runs that have ended, to recognise their redelivery.

use std::collections::{HashMap, VecDeque};

use crate::task::request::RunKey;
use crate::task::settlement::Settlement;

/// The number of runs to remember.
const REMEMBERED: usize = 10_000;

/// The settlements of the last runs.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    settlements: HashMap<RunKey, Settlement>,
    in_order: VecDeque<RunKey>,
}

impl Ended {
    pub(crate) fn remember(&mut self, key: RunKey, settlement: Settlement) {
        if self.settlements.insert(key.clone(), settlement).is_none() {
            self.in_order.push_back(key);
        }
        if self.in_order.len() > REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.settlements.remove(&oldest);
        }
    }

    /// Forgets a run.
    pub(crate) fn forget(&mut self, key: &RunKey) {
        if self.settlements.remove(key).is_some() {
            self.in_order.retain(|remembered| remembered != key);
        }
    }

    /// Returns how the run was settled, if it is remembered.
    pub(crate) fn settlement(&self, key: &RunKey) -> Option<Settlement> {
        self.settlements.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RunKey {
        RunKey {
            id: number.to_string(),
            retries: 0,
        }
    }

    #[test]
    fn the_last_runs_are_remembered_and_no_more() {
        let mut ended = Ended::default();
        for number in 0..=REMEMBERED {
            ended.remember(key(number), Settlement::Ack);
            ended.remember(key(number), Settlement::Ack);
        }
        assert_eq!(ended.settlement(&key(0)), None);
        assert_eq!(ended.settlement(&key(1)), Some(Settlement::Ack));
        assert_eq!(
            (ended.settlements.len(), ended.in_order.len()),
            (REMEMBERED, REMEMBERED)
        );
    }
}
