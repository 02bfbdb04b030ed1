//! The open connections of a service: their maximum number, and which of them is closed when there is no room for
//! another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a connection is kept before it may be evicted: its request may be on its way.
const GRACE: Duration = Duration::from_millis(500);

/// All connections of one listener. Clones share them.
///
/// A connection is busy while its request is being answered, and waits otherwise: for a request, for the rest of its
/// headers, or for the client to read the answer. When there is no room, the one that has waited longest is evicted.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    most: usize,
    table: Arc<Mutex<Table>>,
    /// Notified when a connection ends or begins to wait.
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Table {
    open: usize,
    next: u64,
    /// By the order in which they began to wait.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    evicted: CancellationToken,
}

/// An open connection. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Connections,
    evicted: CancellationToken,
    activity: Mutex<Activity>,
}

/// The current activity of a connection; if it waits, its place among the waiting ones and the start of the wait.
#[derive(Debug, Clone, Copy)]
enum Activity {
    Waiting(u64, Instant),
    Busy,
}

impl Connections {
    /// Creates a set of at most `most` connections.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            table: Arc::default(),
            news: Arc::default(),
        }
    }

    /// Waits until there is room for one more connection, if need be in place of one that waits.
    pub(super) async fn room(&self) {
        loop {
            let news = self.news.notified();
            let gives_way = {
                let table = self.table();
                if table.open < self.most {
                    return;
                }
                let longest = table.waiting.first_key_value();
                longest.map(|(_, waiting)| waiting.since + GRACE)
            };
            match gives_way {
                Some(when) if when <= Instant::now() => return,
                Some(when) => tokio::select! {
                    () = news => {}
                    () = sleep_until(when) => {}
                },
                None => news.await,
            }
        }
    }

    /// Adds a connection. If there is no room for it, the one that has waited longest is evicted.
    pub(super) fn enter(&self) -> Connection {
        let evicted = CancellationToken::new();
        let mut table = self.table();
        if table.open >= self.most
            && let Some((_, longest)) = table.waiting.pop_first()
        {
            longest.evicted.cancel();
        }
        table.open += 1;
        let activity = table.wait(evicted.clone());
        drop(table);
        Connection {
            connections: self.clone(),
            evicted,
            activity: Mutex::new(activity),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn wait(&mut self, evicted: CancellationToken) -> Activity {
        let since = Instant::now();
        self.next += 1;
        self.waiting.insert(self.next, Waiting { since, evicted });
        Activity::Waiting(self.next, since)
    }
}

impl Connection {
    /// Marks the connection as busy: its request is being answered, until [`wait`](Self::wait).
    pub(super) fn busy(&self) {
        if let Activity::Waiting(place, _) = std::mem::replace(&mut *self.activity(), Activity::Busy) {
            self.connections.table().waiting.remove(&place);
        }
    }

    /// Marks the connection as waiting.
    pub(super) fn wait(&self) {
        let waiting = self.connections.table().wait(self.evicted.clone());
        *self.activity() = waiting;
        self.connections.news.notify_one();
    }

    /// Waits until the connection must end, because another one needs its room or because it has waited for `longest`.
    /// Returns the reason.
    pub(super) async fn must_end(&self, longest: Duration) -> &'static str {
        tokio::select! {
            () = self.evicted.cancelled() => "it gave way to a new one",
            () = self.waited(longest) => "it was idle for too long",
        }
    }

    async fn waited(&self, longest: Duration) {
        loop {
            let activity = *self.activity();
            let now = Instant::now();
            let until = match activity {
                Activity::Waiting(_, since) if now.duration_since(since) >= longest => return,
                Activity::Waiting(_, since) => since + longest,
                Activity::Busy => now + longest,
            };
            sleep_until(until).await;
        }
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.busy();
        self.connections.table().open -= 1;
        self.connections.news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_hours(1);
    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_waited_longest_gives_way() {
        let connections = Connections::new(3);
        let all = [connections.enter(), connections.enter(), connections.enter()];
        all[0].busy();
        all[1].busy();
        all[1].wait();
        let begun = Instant::now();
        connections.room().await;
        assert!(begun.elapsed() >= GRACE, "a request may be on its way");
        let _fourth = connections.enter();
        timeout(MOMENT, all[2].must_end(LONG)).await.unwrap();
        for stays in &all[..2] {
            assert!(timeout(MOMENT, stays.must_end(LONG)).await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_when_one_ends_or_begins_to_wait() {
        let connections = Connections::new(1);
        let first = connections.enter();
        first.busy();
        assert!(timeout(MOMENT, connections.room()).await.is_err());
        first.wait();
        timeout(GRACE + MOMENT, connections.room()).await.unwrap();
        first.busy();
        assert!(timeout(MOMENT, connections.room()).await.is_err());
        drop(first);
        timeout(MOMENT, connections.room()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn none_waits_for_ever_and_a_busy_one_is_left_alone() {
        let connections = Connections::new(2);
        let limit = Duration::from_secs(10);
        let connection = connections.enter();
        let begun = Instant::now();
        connection.must_end(limit).await;
        assert_eq!(begun.elapsed().as_secs(), 10);
        connection.busy();
        assert!(timeout(LONG, connection.must_end(limit)).await.is_err());
        connection.wait();
        timeout(limit * 2, connection.must_end(limit)).await.unwrap();
    }
}
