//! The parts of a program that can do their work, and why the others cannot.

use std::collections::BTreeMap;

use tokio::sync::watch;

/// The readiness of all parts of a program. Clones share the same parts.
#[derive(Debug, Clone)]
pub struct Readiness {
    parts: watch::Sender<BTreeMap<&'static str, Option<String>>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Creates a readiness without parts, which counts as ready.
    pub fn new() -> Self {
        Self {
            parts: watch::Sender::new(BTreeMap::new()),
        }
    }

    /// Adds a part that everything depends on, such as `"broker"`. It is not ready until [`Part::ready`].
    pub fn part(&self, name: &'static str) -> Part {
        let part = Part {
            name,
            readiness: self.clone(),
        };
        part.not_ready("starting");
        part
    }

    /// Returns whether all parts are ready.
    pub fn is_ready(&self) -> bool {
        self.parts.borrow().values().all(Option::is_none)
    }

    /// Waits until all parts are ready.
    pub async fn ready(&self) {
        // Cannot fail: `self` keeps the sender alive.
        let _ = self
            .parts
            .subscribe()
            .wait_for(|parts| parts.values().all(Option::is_none))
            .await;
    }

    /// Returns the parts that are not ready, each with the reason.
    pub fn missing(&self) -> BTreeMap<&'static str, String> {
        let parts = self.parts.borrow();
        parts
            .iter()
            .filter_map(|(name, reason)| Some((*name, reason.clone()?)))
            .collect()
    }
}

/// One named part of a program's readiness.
#[derive(Debug, Clone)]
pub struct Part {
    name: &'static str,
    readiness: Readiness,
}

impl Part {
    /// Marks this part as working. Returns whether that is a change.
    pub fn ready(&self) -> bool {
        self.set(None)
    }

    /// Marks this part as not working. `reason` is shown to operators and must not contain a secret. Returns
    /// whether the part worked until now.
    pub fn not_ready(&self, reason: impl Into<String>) -> bool {
        self.set(Some(reason.into()))
    }

    fn set(&self, reason: Option<String>) -> bool {
        let mut was_ready = None;
        let is_ready = reason.is_none();
        self.readiness.parts.send_if_modified(|parts| {
            let changed = parts.get(self.name) != Some(&reason);
            was_ready = parts.insert(self.name, reason).map(|before| before.is_none());
            changed
        });
        was_ready.is_some_and(|was_ready| was_ready != is_ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_news() {
        let redis = Readiness::new().part("redis");
        assert!(!redis.not_ready("connection refused"), "it never worked");
        assert!(redis.ready());
        assert!(!redis.ready());
        assert!(redis.not_ready("timed out"));
        assert!(!redis.not_ready("connection refused"));
    }

    #[tokio::test]
    async fn waiting_for_readiness_ends_when_the_last_part_is_ready() {
        let readiness = Readiness::new();
        let broker = readiness.part("broker");
        let waiting = readiness.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { waiting.ready().await });
        broker.ready();
        tasks.join_next().await.unwrap().unwrap();
    }
}
