//! A runner on a queue of its own.

use std::sync::{Arc, Mutex};

use celery_protocol::{Sender, TaskCall, Value};
use celery_runtime::{TaskError, TaskOptions};
use public_api::TaskQueue as _;
use service_kit::readiness::Readiness;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::*;
use super::BOUND;
use crate::database::Database;

/// A queue and tasks that write down what they do.
pub(super) struct Bench {
    pub(super) queue: Queue,
    pub(super) database: Database,
    pub(super) ran: Arc<Mutex<Vec<String>>>,
    /// What the task `wait` waits for.
    pub(super) gate: Arc<Semaphore>,
    _directory: tempfile::TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("a.db")).unwrap();
        Self {
            queue: Queue::new(database.clone()),
            database,
            ran: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            _directory: directory,
        }
    }

    pub(super) fn call(task: &str, id: &str) -> TaskCall {
        let sender = Sender {
            origin: "gen1@host".to_owned(),
            reply_to: "reply".to_owned(),
        };
        TaskCall::new(task, id, &sender)
    }

    pub(super) async fn put(&self, task: &str, id: &str) {
        self.queue.put(Self::call(task, id)).await.unwrap();
    }

    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::new();
        let note = {
            let ran = Arc::clone(&self.ran);
            move |request: &Request| {
                let again = if request.redelivered() { " again" } else { "" };
                ran.lock().unwrap().push(format!("{}{again}", request.id()));
            }
        };
        let noted = note.clone();
        registry.register(TaskOptions::named("say"), move |request| {
            noted(&request);
            async { Ok(Value::None) }
        });
        let (noted, gate) = (note.clone(), Arc::clone(&self.gate));
        registry.register(TaskOptions::named("wait"), move |request| {
            noted(&request);
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(Value::None)
            }
        });
        let noted = note.clone();
        registry.register(TaskOptions::named("panic"), move |request| {
            noted(&request);
            async { panic!("on purpose") }
        });
        let mut kept_on_failure = TaskOptions::named("kept on failure");
        kept_on_failure.acks_on_failure = false;
        registry.register(kept_on_failure, |_| async {
            Err(TaskError::raised("ValueError", "boom"))
        });
        for (name, requeue) in [("reject", false), ("requeue", true)] {
            let noted = note.clone();
            registry.register(TaskOptions::named(name), move |request| {
                noted(&request);
                async move {
                    Err(TaskError::Reject {
                        requeue,
                        reason: "no thanks".to_owned(),
                    })
                }
            });
        }
        registry
    }

    pub(super) async fn start(&self) -> (GracefulShutdown, JoinSet<()>) {
        let shutdown = GracefulShutdown::manual();
        let runner = Runner::new(
            self.queue.clone(),
            self.registry(),
            self.queue.last().await.unwrap(),
            Readiness::new().part("worker"),
        );
        let mut running = JoinSet::new();
        let run = runner.run(shutdown.clone());
        running.spawn(async move { run.await.unwrap() });
        (shutdown, running)
    }

    pub(super) fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap().clone()
    }

    pub(super) async fn until(&self, what: &str, mut condition: impl AsyncFnMut(&Self) -> bool) {
        let looked = async {
            while !condition(self).await {
                sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(
            timeout(BOUND, looked).await.is_ok(),
            "{what}; ran: {:?}",
            self.ran()
        );
    }

    pub(super) async fn until_empty(&self) {
        self.until("the queue is empty", async |bench| {
            bench.queue.len().await.unwrap() == 0
        })
        .await;
    }

    pub(super) async fn dead_letters(&self) -> Vec<(RowId, String)> {
        let letters = self
            .database
            .read(|connection| Queue::dead_letters(connection, 100))
            .await
            .unwrap();
        letters
            .into_iter()
            .map(|letter| (letter.waiting.id, letter.reason))
            .collect()
    }
}
