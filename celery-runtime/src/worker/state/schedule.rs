//! Messages that wait for their ETA (contract E.3).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use jiff::Timestamp;

/// Items by the time at which they are due; of two with the same time, the one that arrived first precedes.
#[derive(Debug)]
pub(crate) struct Schedule<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    arrivals: u64,
}

#[derive(Debug)]
struct Entry<T> {
    due: Timestamp,
    arrival: u64,
    item: T,
}

impl<T> Schedule<T> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            arrivals: 0,
        }
    }

    pub(crate) fn hold(&mut self, due: Timestamp, item: T) {
        self.arrivals += 1;
        self.heap.push(Reverse(Entry {
            due,
            arrival: self.arrivals,
            item,
        }));
    }

    /// Waits for the next item to be due and takes it; forever if nothing is held. It is safe to cancel, such as in
    /// a `select!`.
    pub(crate) async fn next(&mut self) -> T {
        loop {
            let Some(Reverse(first)) = self.heap.peek() else {
                return std::future::pending().await;
            };
            let wait = Duration::try_from(first.due.duration_since(Timestamp::now())).unwrap_or_default();
            if wait.is_zero()
                && let Some(Reverse(entry)) = self.heap.pop()
            {
                return entry.item;
            }
            // If the wall clock is set while this sleeps, that is noticed within a minute.
            tokio::time::sleep(wait.min(Duration::from_mins(1))).await;
        }
    }

    /// Forgets all items; unsettled messages are redelivered.
    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.arrival).cmp(&(other.due, other.arrival))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[tokio::test]
    async fn items_come_by_time_then_by_arrival_and_not_before_their_time() {
        let now = Timestamp::now();
        let mut schedule = Schedule::new();
        schedule.hold(now + SignedDuration::from_millis(40), "later");
        schedule.hold(now - SignedDuration::from_secs(1), "second");
        schedule.hold(now - SignedDuration::from_secs(1), "third");
        schedule.hold(now - SignedDuration::from_secs(2), "first");
        for expected in ["first", "second", "third", "later"] {
            assert_eq!(schedule.next().await, expected);
        }
        assert!(Timestamp::now() >= now + SignedDuration::from_millis(40));
        assert_eq!(schedule.len(), 0);
    }
}
