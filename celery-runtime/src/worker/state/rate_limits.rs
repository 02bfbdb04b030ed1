//! Messages that wait because their task is rate limited (contract E.3). In Celery they appear in none of the lists
//! of remote control.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::task::rate_limit::{RateLimit, TokenBucket};

/// Items by their task, released in order and at the task's rate.
#[derive(Debug)]
pub(crate) struct RateLimits<T> {
    tasks: HashMap<String, Limited<T>>,
}

#[derive(Debug)]
struct Limited<T> {
    rate: RateLimit,
    bucket: TokenBucket,
    waiting: VecDeque<T>,
}

impl<T> RateLimits<T> {
    pub(crate) fn new() -> Self {
        Self {
            tasks: HashMap::new(),
        }
    }

    /// Returns how many items are kept.
    pub(crate) fn len(&self) -> usize {
        self.tasks.values().map(|limited| limited.waiting.len()).sum()
    }

    /// Returns the item if it may be released at once; otherwise it is kept.
    pub(crate) fn admit(&mut self, task: &str, rate: RateLimit, item: T) -> Option<T> {
        let now = Instant::now();
        let limited = self.tasks.entry(task.to_owned()).or_insert_with(|| Limited {
            rate,
            bucket: TokenBucket::new(rate, now),
            waiting: VecDeque::new(),
        });
        if limited.rate != rate {
            (limited.rate, limited.bucket) = (rate, TokenBucket::new(rate, now));
        }
        if limited.waiting.is_empty() && limited.bucket.take(now) {
            return Some(item);
        }
        limited.waiting.push_back(item);
        None
    }

    /// Waits for the next item that may be released and takes it; forever if none is kept. It is safe to cancel,
    /// such as in a `select!`.
    pub(crate) async fn next(&mut self) -> T {
        loop {
            let now = Instant::now();
            let mut soonest: Option<Duration> = None;
            for limited in self.tasks.values_mut().filter(|task| !task.waiting.is_empty()) {
                if limited.bucket.take(now)
                    && let Some(item) = limited.waiting.pop_front()
                {
                    return item;
                }
                soonest = [soonest, limited.bucket.wait(now)].into_iter().flatten().min();
            }
            match soonest {
                Some(wait) => tokio::time::sleep(wait.max(Duration::from_millis(1))).await,
                None => return std::future::pending().await,
            }
        }
    }

    /// Forgets all items; unsettled messages are redelivered. The token buckets stay as they are.
    pub(crate) fn clear(&mut self) {
        for limited in self.tasks.values_mut() {
            limited.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn items_are_released_in_order_at_the_rate_of_their_task() {
        let twice = RateLimit::per_second(2.0).unwrap();
        let once = RateLimit::per_second(1.0).unwrap();
        let start = Instant::now();
        let mut limits = RateLimits::new();
        assert_eq!(limits.admit("twice", twice, "a1"), Some("a1"));
        for item in ["a2", "a3", "a4"] {
            assert_eq!(limits.admit("twice", twice, item), None);
        }
        assert_eq!(limits.admit("once", once, "b1"), Some("b1"));
        assert_eq!(limits.admit("once", once, "b2"), None);
        let mut order = Vec::new();
        for _ in 0..4 {
            let item = limits.next().await;
            order.push((item, start.elapsed().as_millis() / 100));
        }
        order.sort_unstable();
        assert_eq!(order, [("a2", 5), ("a3", 10), ("a4", 15), ("b2", 10)]);
        // An item that arrives while others wait is queued behind them; forgotten items are not released.
        assert_eq!(limits.admit("twice", twice, "a5"), None);
        limits.clear();
        let nothing = tokio::time::timeout(Duration::from_mins(1), limits.next()).await;
        assert!(nothing.is_err());
        assert_eq!(limits.admit("twice", twice, "a6"), Some("a6"));
    }
}
