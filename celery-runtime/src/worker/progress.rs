//! Notices a worker that is connected but is given nothing, although there is something for it.
//!
//! Consumers of an established connection have been seen to starve: after a failover of their queue, behind a network
//! device that lets only one direction pass, or when their prefetch was lost. Celery waits there for ever.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout};

use super::observer::Observer;

/// How long the broker may take to say how many messages are ready.
const ANSWER: Duration = Duration::from_secs(10);

/// A link that stays fruitless is not made anew faster than this many times the configured interval.
const LONGEST_FACTOR: u32 = 16;

/// What a look at the queues has shown.
#[derive(Debug)]
pub(crate) struct Look {
    /// How many messages are ready, or why the broker has not said.
    ready: Result<u32, String>,
}

/// What follows from it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// All is well, or it is too early to say.
    Well,
    /// What was ready is gone: a trouble has ended.
    Over,
    /// Connect anew: the reason.
    Stalled(String),
}

/// Follows whether messages come.
pub(crate) struct Progress {
    /// How often to look.
    every: Duration,
    /// How long nothing may come while messages are ready. Doubled by each link that does not help.
    patience: Duration,
    /// When a message came last, or none could have come.
    since: Instant,
    next_look: Instant,
    /// Whether the broker could send something, when that was last known.
    had_room: bool,
    observer: Option<Observer>,
    look: Option<BoxFuture<'static, Look>>,
    trouble: Option<String>,
}

impl Progress {
    pub(crate) fn new(every: Duration) -> Self {
        let now = Instant::now();
        Self {
            every,
            patience: every,
            since: now,
            next_look: now + every,
            had_room: true,
            observer: None,
            look: None,
            trouble: None,
        }
    }

    /// Why the worker is not ready although it is connected.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// A link is new; `observer` tells about its queues.
    pub(crate) fn connected(&mut self, observer: Observer) {
        self.observer = Some(observer);
        self.look = None;
        self.since = Instant::now();
        self.next_look = self.since + self.every;
    }

    /// A message has come. Says whether that ends a trouble.
    pub(crate) fn delivered(&mut self) -> bool {
        self.patience = self.every;
        self.since = Instant::now();
        self.trouble.take().is_some()
    }

    /// The result of the next look at the queues. `has_room` is whether the broker could send something; time without
    /// room does not count.
    pub(crate) async fn looked(&mut self, has_room: bool) -> Look {
        if !(self.had_room && has_room) {
            self.since = Instant::now();
        }
        self.had_room = has_room;
        loop {
            if let Some(look) = &mut self.look {
                let seen = look.await;
                self.look = None;
                return seen;
            }
            sleep_until(self.next_look).await;
            self.next_look = Instant::now() + self.every;
            if let Some(observer) = self.observer.clone()
                && has_room
            {
                self.look = Some(Box::pin(async move {
                    let ready = timeout(ANSWER, observer.ready_messages()).await;
                    let silent = |_| Err(format!("the broker was silent for {} s", ANSWER.as_secs()));
                    Look {
                        ready: ready.unwrap_or_else(silent),
                    }
                }));
            }
        }
    }

    /// Judges a look.
    pub(crate) fn judge(&mut self, look: Look) -> Finding {
        let starved = self.since.elapsed();
        let reason = match look.ready {
            Ok(0) => {
                self.since = Instant::now();
                return match self.trouble.take() {
                    Some(_) => Finding::Over,
                    None => Finding::Well,
                };
            }
            Ok(_) if starved < self.patience => return Finding::Well,
            Ok(1) => format!(
                "1 message is ready, but none has come for {} s",
                starved.as_secs()
            ),
            Ok(ready) => format!(
                "{ready} messages are ready, but none has come for {} s",
                starved.as_secs()
            ),
            Err(error) => error,
        };
        self.patience = (self.patience * 2).min(self.every * LONGEST_FACTOR);
        self.trouble = Some(reason.clone());
        Finding::Stalled(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const EVERY: Duration = Duration::from_secs(30);

    fn ready(count: u32) -> Look {
        Look { ready: Ok(count) }
    }

    #[tokio::test(start_paused = true)]
    async fn messages_that_are_ready_may_be_on_their_way() {
        let mut progress = Progress::new(EVERY);
        advance(EVERY / 2).await;
        assert_eq!(progress.judge(ready(7)), Finding::Well);
        progress.delivered();
        advance(EVERY * 29 / 30).await;
        assert_eq!(progress.judge(ready(7)), Finding::Well);
        advance(EVERY / 30).await;
        let reason = "7 messages are ready, but none has come for 30 s";
        assert_eq!(progress.judge(ready(7)), Finding::Stalled(reason.to_owned()));
        assert_eq!(progress.trouble(), Some(reason));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_queue_is_no_trouble() {
        let mut progress = Progress::new(EVERY);
        advance(EVERY * 100).await;
        assert_eq!(progress.judge(ready(0)), Finding::Well);
        assert_eq!(progress.judge(ready(1)), Finding::Well, "it has just come");
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_does_not_help_is_given_longer() {
        let mut progress = Progress::new(EVERY);
        let mut waits = Vec::new();
        for _ in 0..7 {
            progress.since = Instant::now();
            let begun = Instant::now();
            while progress.judge(ready(1)) == Finding::Well {
                advance(EVERY).await;
            }
            waits.push(begun.elapsed().as_secs());
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 480, 480]);
        assert!(progress.delivered(), "a message ends the trouble");
        assert!(!progress.delivered());
        advance(EVERY).await;
        assert!(matches!(progress.judge(ready(1)), Finding::Stalled(_)));
        assert_eq!(progress.judge(ready(0)), Finding::Over);
        assert_eq!(progress.trouble(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_room_does_not_count() {
        let mut progress = Progress::new(EVERY);
        let moment = Duration::from_millis(1);
        assert!(timeout(moment, progress.looked(false)).await.is_err());
        advance(EVERY * 2).await;
        assert!(timeout(moment, progress.looked(true)).await.is_err());
        assert_eq!(progress.judge(ready(1)), Finding::Well);
        advance(EVERY).await;
        assert!(matches!(progress.judge(ready(1)), Finding::Stalled(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_does_not_answer_is_left() {
        let mut progress = Progress::new(EVERY);
        let ready = Err("silence".to_owned());
        assert_eq!(
            progress.judge(Look { ready }),
            Finding::Stalled("silence".to_owned())
        );
    }
}
