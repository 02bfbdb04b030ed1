//! The background tasks of a program, supervised: if one of them has died, the program must neither count as
//! ready nor continue.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};

use crate::readiness::Readiness;

/// Tasks of which none may end before the program does. They are cancelled when this is dropped.
#[derive(Debug)]
pub struct Background {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    readiness: Readiness,
}

/// An error: a task has ended that the program cannot do without.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} {how}; the program cannot continue without it and must be restarted")]
pub struct Ended {
    /// The name of the task: "the connection to the broker".
    pub part: &'static str,
    /// "stopped unexpectedly", or "panicked: " and the message.
    pub how: String,
}

impl Background {
    /// Creates a set without tasks. A task that ends makes `readiness` not ready.
    pub fn new(readiness: &Readiness) -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            readiness: readiness.clone(),
        }
    }

    /// Starts a task that lasts as long as the program. `part` is its name: "the connection to the broker". Must
    /// be called within a tokio runtime.
    pub fn spawn(&mut self, part: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(work);
        self.names.insert(handle.id(), part);
    }

    /// Takes over the task of another part, or several tasks with the same purpose.
    pub fn adopt(&mut self, part: &'static str, mut tasks: JoinSet<()>) {
        self.spawn(part, async move {
            if let Some(Err(error)) = tasks.join_next().await
                && let Ok(panic) = error.try_into_panic()
            {
                // The panic has been reported; here it is only passed on to the supervisor.
                std::panic::resume_unwind(panic);
            }
        });
    }

    /// Waits until a task ends or panics; forever if none does. From then on the program is not ready.
    pub async fn ended(&mut self) -> Ended {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (id, how) = match ended {
            Ok((id, ())) => (id, "stopped unexpectedly".to_owned()),
            Err(error) => (error.id(), how(error)),
        };
        let part = self.names.remove(&id).unwrap_or("a task");
        self.readiness.part(part).not_ready(how.as_str());
        Ended { part, how }
    }

    /// Runs `work`, the program's main task, as long as all others last. If one of them ends, `stop` is called; `work`
    /// must then finish what it has begun, and end.
    ///
    /// # Errors
    ///
    /// [`Ended`], after `work` has ended.
    pub async fn during<T>(
        &mut self,
        stop: impl FnOnce(),
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        let mut work = std::pin::pin!(work);
        let ended = tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            ended = self.ended() => ended,
        };
        tracing::error!("{} {}; finishing running work", ended.part, ended.how);
        stop();
        work.await;
        Err(ended)
    }
}

/// Describes how a task of a [`JoinSet`] ended that did not return.
pub fn how(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => format!("panicked: {}", message(panic.as_ref())),
        Err(_) => "was cancelled".to_owned(),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown::GracefulShutdown;
    use std::collections::BTreeMap;
    use std::future::pending;

    #[tokio::test]
    async fn what_panics_or_ends_is_named_and_not_ready() {
        let readiness = Readiness::new();
        let mut background = Background::new(&readiness);
        background.spawn("the clock", pending());
        background.spawn("the bell", async { panic!("cracked after {} strokes", 12) });
        let ended = background.ended().await;
        assert_eq!(
            ended.to_string(),
            "the bell panicked: cracked after 12 strokes; the program cannot continue without it and must be restarted"
        );
        background.spawn("the hand", async {});
        assert_eq!(background.ended().await.how, "stopped unexpectedly");
        assert_eq!(
            readiness.missing(),
            BTreeMap::from([
                ("the bell", "panicked: cracked after 12 strokes".to_owned()),
                ("the hand", "stopped unexpectedly".to_owned())
            ])
        );
    }

    #[tokio::test]
    async fn the_main_task_finishes_what_it_has_begun() {
        let shutdown = GracefulShutdown::manual();
        let mut background = Background::new(&Readiness::new());
        let stop = || shutdown.warm.cancel();
        assert_eq!(background.during(stop, async { 1 }).await, Ok(1));
        assert!(!shutdown.warm.is_cancelled());

        background.spawn("the bell", async { panic!("cracked") });
        let mut has_finished = false;
        let work = async {
            shutdown.warm.cancelled().await;
            has_finished = true;
        };
        let ended = background.during(stop, work).await.unwrap_err();
        assert_eq!((ended.part, has_finished), ("the bell", true));
    }

    #[tokio::test]
    async fn tasks_of_others_are_watched_as_well() {
        let mut background = Background::new(&Readiness::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(pending());
        tasks.spawn(async { panic!("cracked") });
        background.adopt("the bells", tasks);
        assert_eq!(background.ended().await.how, "panicked: cracked");
    }
}
