//! Detects a worker that is connected but receives nothing, although messages are ready for it.
//!
//! Consumers on an established connection have been seen to starve: after a failover of their queue, behind a
//! network device that passes only one direction, or when their prefetch was lost. Celery then waits forever.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout};

use super::observer::Observer;

/// Limit for the broker to report how many messages are ready.
const ANSWER: Duration = Duration::from_secs(10);

/// The longest interval between reconnects of a link that stays stalled, as a multiple of the configured interval.
const LONGEST_FACTOR: u32 = 16;

/// The result of a check of the queues.
#[derive(Debug)]
pub(crate) struct QueueCheck {
    /// The number of ready messages, or the reason why the broker has not reported it.
    ready: Result<u32, String>,
}

/// The conclusion from a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// There is no problem, or it is too early to know.
    Healthy,
    /// The ready messages are gone: the problem is over.
    Recovered,
    /// The worker must reconnect, for this reason.
    Stalled(String),
}

/// Tracks whether messages arrive.
pub(crate) struct Progress {
    /// The interval of the checks.
    every: Duration,
    /// Longest time without a message while messages are ready. Doubled by each link that does not help.
    patience: Duration,
    /// When the last message arrived, or when last none could arrive.
    since: Instant,
    next_check_at: Instant,
    /// Whether the broker could send something, as last known.
    had_room: bool,
    observer: Option<Observer>,
    check: Option<BoxFuture<'static, QueueCheck>>,
    problem: Option<String>,
}

impl Progress {
    pub(crate) fn new(every: Duration) -> Self {
        let now = Instant::now();
        Self {
            every,
            patience: every,
            since: now,
            next_check_at: now + every,
            had_room: true,
            observer: None,
            check: None,
            problem: None,
        }
    }

    /// Returns why the worker is not ready although it is connected.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Registers a new link; `observer` checks its queues.
    pub(crate) fn connected(&mut self, observer: Observer) {
        self.observer = Some(observer);
        self.check = None;
        self.since = Instant::now();
        self.next_check_at = self.since + self.every;
    }

    /// Registers that a message has arrived, and returns whether that ends a problem.
    pub(crate) fn delivered(&mut self) -> bool {
        self.patience = self.every;
        self.since = Instant::now();
        self.problem.take().is_some()
    }

    /// Waits for the result of the next check of the queues. `has_room` is whether the broker could send something;
    /// time without room does not count.
    pub(crate) async fn next_check(&mut self, has_room: bool) -> QueueCheck {
        if !(self.had_room && has_room) {
            self.since = Instant::now();
        }
        self.had_room = has_room;
        loop {
            if let Some(check) = &mut self.check {
                let seen = check.await;
                self.check = None;
                return seen;
            }
            sleep_until(self.next_check_at).await;
            self.next_check_at = Instant::now() + self.every;
            if let Some(observer) = self.observer.clone()
                && has_room
            {
                self.check = Some(Box::pin(async move {
                    let ready = timeout(ANSWER, observer.ready_messages()).await;
                    let silent = |_| Err(format!("the broker was silent for {} s", ANSWER.as_secs()));
                    QueueCheck {
                        ready: ready.unwrap_or_else(silent),
                    }
                }));
            }
        }
    }

    /// Draws the conclusion from a check.
    pub(crate) fn judge(&mut self, check: QueueCheck) -> Finding {
        let starved = self.since.elapsed();
        let reason = match check.ready {
            Ok(0) => {
                self.since = Instant::now();
                return match self.problem.take() {
                    Some(_) => Finding::Recovered,
                    None => Finding::Healthy,
                };
            }
            Ok(_) if starved < self.patience => return Finding::Healthy,
            Ok(1) => format!(
                "1 message is ready, but none has arrived for {} s",
                starved.as_secs()
            ),
            Ok(ready) => format!(
                "{ready} messages are ready, but none has arrived for {} s",
                starved.as_secs()
            ),
            Err(error) => error,
        };
        self.patience = (self.patience * 2).min(self.every * LONGEST_FACTOR);
        self.problem = Some(reason.clone());
        Finding::Stalled(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const EVERY: Duration = Duration::from_secs(30);

    fn ready(count: u32) -> QueueCheck {
        QueueCheck { ready: Ok(count) }
    }

    #[tokio::test(start_paused = true)]
    async fn ready_messages_may_still_be_in_transit() {
        let mut progress = Progress::new(EVERY);
        advance(EVERY / 2).await;
        assert_eq!(progress.judge(ready(7)), Finding::Healthy);
        progress.delivered();
        advance(EVERY * 29 / 30).await;
        assert_eq!(progress.judge(ready(7)), Finding::Healthy);
        advance(EVERY / 30).await;
        let reason = "7 messages are ready, but none has arrived for 30 s";
        assert_eq!(progress.judge(ready(7)), Finding::Stalled(reason.to_owned()));
        assert_eq!(progress.problem(), Some(reason));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_queue_is_not_a_problem() {
        let mut progress = Progress::new(EVERY);
        advance(EVERY * 100).await;
        assert_eq!(progress.judge(ready(0)), Finding::Healthy);
        assert_eq!(progress.judge(ready(1)), Finding::Healthy, "it has just arrived");
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_does_not_help_gets_more_time() {
        let mut progress = Progress::new(EVERY);
        let mut waits = Vec::new();
        for _ in 0..7 {
            progress.since = Instant::now();
            let start = Instant::now();
            while progress.judge(ready(1)) == Finding::Healthy {
                advance(EVERY).await;
            }
            waits.push(start.elapsed().as_secs());
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 480, 480]);
        assert!(progress.delivered(), "a message ends the problem");
        assert!(!progress.delivered());
        advance(EVERY).await;
        assert!(matches!(progress.judge(ready(1)), Finding::Stalled(_)));
        assert_eq!(progress.judge(ready(0)), Finding::Recovered);
        assert_eq!(progress.problem(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_room_does_not_count() {
        let mut progress = Progress::new(EVERY);
        let moment = Duration::from_millis(1);
        assert!(timeout(moment, progress.next_check(false)).await.is_err());
        advance(EVERY * 2).await;
        assert!(timeout(moment, progress.next_check(true)).await.is_err());
        assert_eq!(progress.judge(ready(1)), Finding::Healthy);
        advance(EVERY).await;
        assert!(matches!(progress.judge(ready(1)), Finding::Stalled(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_does_not_answer_is_stalled() {
        let mut progress = Progress::new(EVERY);
        let ready = Err("silence".to_owned());
        assert_eq!(
            progress.judge(QueueCheck { ready }),
            Finding::Stalled("silence".to_owned())
        );
    }
}
