//! An outage of the ACL service, logged once when it begins and once when it is over instead of once per task.

use std::error::Error;
use std::sync::{Mutex, PoisonError};

use explain::explain;
use tracing::{debug, info, warn};

/// The minimum time between the last failure and an answer that ends an outage, in nanoseconds. Because of it, an ACL
/// service that fails now and then has one outage, not many.
const QUIET_NS: i128 = 10_000_000_000;

/// The outage that is going on, if any. All times are in nanoseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Ongoing>>);

#[derive(Debug)]
struct Ongoing {
    unknown: u64,
    last_failure: i128,
}

impl Outage {
    /// Logs the beginning or the end of an outage, if `answer`, received at `now`, is one; else logs a failure at debug
    /// level.
    pub(super) fn note<T>(&self, station_id: &str, answer: &Result<T, impl Error + 'static>, now: i128) {
        match answer {
            Ok(_) => match self.answered(now) {
                None => {}
                Some(1) => info!("the ACL service answers again; 1 verdict was unknown"),
                Some(unknown) => info!("the ACL service answers again; {unknown} verdicts were unknown"),
            },
            Err(error) if self.failed(now) => warn!(
                station.id = station_id,
                "{}; verdicts are unknown until it answers again",
                explain(error)
            ),
            Err(error) => debug!(
                station.id = station_id,
                "{}; the verdict is unknown",
                explain(error)
            ),
        }
    }

    /// Counts a verdict that is unknown because there was no usable answer. Returns whether an outage begins with it.
    fn failed(&self, now: i128) -> bool {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = outage.is_none();
        let ongoing = outage.get_or_insert(Ongoing {
            unknown: 0,
            last_failure: now,
        });
        ongoing.unknown += 1;
        ongoing.last_failure = ongoing.last_failure.max(now);
        begins
    }

    /// Records an answer. If it ends an outage, returns how many verdicts were unknown.
    fn answered(&self, now: i128) -> Option<u64> {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = outage.take_if(|ongoing| now - ongoing.last_failure >= QUIET_NS)?;
        Some(over.unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    #[test]
    fn it_begins_once_and_counts() {
        let outage = Outage::default();
        assert_eq!(outage.answered(0), None);
        assert!(outage.failed(SECOND));
        assert!(!outage.failed(2 * SECOND));
        // Two tasks that ended in reverse order.
        assert!(!outage.failed(SECOND));
        assert_eq!(outage.answered(2 * SECOND + QUIET_NS), Some(3));
        assert_eq!(outage.answered(3 * SECOND + QUIET_NS), None);
        assert!(outage.failed(3 * SECOND + QUIET_NS));
    }

    #[test]
    fn answers_between_failures_do_not_end_it() {
        let outage = Outage::default();
        assert!(outage.failed(0));
        for second in 1..100 {
            assert_eq!(outage.answered(second * SECOND), None);
            assert!(!outage.failed(second * SECOND));
        }
        assert_eq!(outage.answered(99 * SECOND + QUIET_NS - 1), None);
        assert_eq!(outage.answered(99 * SECOND + QUIET_NS), Some(100));
    }
}
