//! An outage of the ACL service, told once when it begins and once when it is over rather than by every task in it.

use std::sync::{Mutex, PoisonError};

/// An outage is over with the first answer that comes so long after the last failure, in nanoseconds: an ACL service that
/// fails now and then is one outage, not many.
const QUIET_NS: i128 = 10_000_000_000;

/// Whether there is an outage. All times are in nanoseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct AclOutage(Mutex<Option<Ongoing>>);

#[derive(Debug)]
struct Ongoing {
    unknown: u64,
    last_failure: i128,
}

impl AclOutage {
    /// There was no usable answer, so that a verdict is unknown. Says whether an outage begins with it.
    pub(crate) fn failed(&self, now: i128) -> bool {
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

    /// There was an answer. Where an outage is over with it: how many verdicts were unknown.
    pub(crate) fn answered(&self, now: i128) -> Option<u64> {
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
        let outage = AclOutage::default();
        assert_eq!(outage.answered(0), None);
        assert!(outage.failed(SECOND));
        assert!(!outage.failed(2 * SECOND));
        // Two tasks that ended the other way round.
        assert!(!outage.failed(SECOND));
        assert_eq!(outage.answered(2 * SECOND + QUIET_NS), Some(3));
        assert_eq!(outage.answered(3 * SECOND + QUIET_NS), None);
        assert!(outage.failed(3 * SECOND + QUIET_NS));
    }

    #[test]
    fn answers_between_failures_do_not_end_it() {
        let outage = AclOutage::default();
        assert!(outage.failed(0));
        for second in 1..100 {
            assert_eq!(outage.answered(second * SECOND), None);
            assert!(!outage.failed(second * SECOND));
        }
        assert_eq!(outage.answered(99 * SECOND + QUIET_NS - 1), None);
        assert_eq!(outage.answered(99 * SECOND + QUIET_NS), Some(100));
    }
}
