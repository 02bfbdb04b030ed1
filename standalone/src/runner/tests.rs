use service_kit::readiness::Readiness;
use std::sync::{Arc, Mutex};

use celery_protocol::{Sender, TaskCall, Value};
use celery_runtime::{TaskError, TaskOptions};
use public_api::TaskQueue as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::database::Database;

const BOUND: Duration = Duration::from_mins(1);

/// A queue, with tasks that record their runs.
struct Bench {
    queue: Queue,
    database: Database,
    ran: Arc<Mutex<Vec<String>>>,
    /// The semaphore on which the task `wait` waits.
    gate: Arc<Semaphore>,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
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

    fn call(task: &str, id: &str) -> TaskCall {
        let sender = Sender {
            origin: "gen1@host".to_owned(),
            reply_to: "reply".to_owned(),
        };
        TaskCall::new(task, id, &sender)
    }

    async fn put(&self, task: &str, id: &str) {
        self.queue.put(Self::call(task, id)).await.unwrap();
    }

    fn registry(&self) -> Registry {
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

    async fn start(&self) -> (GracefulShutdown, JoinSet<()>) {
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

    fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap().clone()
    }

    async fn until(&self, what: &str, mut condition: impl AsyncFnMut(&Self) -> bool) {
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

    async fn until_empty(&self) {
        self.until("the queue is empty", async |bench| {
            bench.queue.len().await.unwrap() == 0
        })
        .await;
    }

    async fn dead_letters(&self) -> Vec<(RowId, String)> {
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

async fn stop(shutdown: GracefulShutdown, mut runner: JoinSet<()>) {
    shutdown.warm.cancel();
    timeout(BOUND, runner.join_next()).await.unwrap();
}

#[tokio::test]
async fn messages_run_in_their_order_and_leave() {
    let bench = Bench::new();
    for id in ["one", "two"] {
        bench.put("say", id).await;
    }
    let (shutdown, runner) = bench.start().await;
    bench.until_empty().await;
    for id in ["three", "four"] {
        bench.put("say", id).await;
    }
    bench.until_empty().await;
    // The first two messages were there before the runner, so they may have been run before.
    assert_eq!(bench.ran(), ["one again", "two again", "three", "four"]);
    stop(shutdown, runner).await;
}

#[tokio::test]
async fn a_message_stays_until_its_run_has_ended() {
    let bench = Bench::new();
    let (shutdown, runner) = bench.start().await;
    bench.put("wait", "slow").await;
    bench.until("it runs", async |bench| bench.ran().len() == 1).await;
    assert_eq!(bench.queue.len().await.unwrap(), 1);
    shutdown.warm.cancel();
    bench.gate.add_permits(1);
    stop(shutdown, runner).await;
    assert_eq!(bench.queue.len().await.unwrap(), 0);
}

#[tokio::test]
async fn no_more_run_than_there_are_slots_and_the_rest_stays_after_a_shutdown() {
    let bench = Bench::new();
    for n in 0..CONCURRENCY + 10 {
        bench.put("wait", &n.to_string()).await;
    }
    let (shutdown, runner) = bench.start().await;
    bench
        .until("all slots are taken", async |bench| {
            bench.ran().len() == CONCURRENCY
        })
        .await;
    bench.gate.add_permits(1);
    bench
        .until("one follows", async |bench| bench.ran().len() == CONCURRENCY + 1)
        .await;
    shutdown.warm.cancel();
    bench.gate.add_permits(CONCURRENCY);
    stop(shutdown, runner).await;
    assert_eq!(bench.ran().len(), CONCURRENCY + 1);
    assert_eq!(bench.queue.len().await.unwrap(), 9);
}

#[tokio::test]
async fn a_cold_shutdown_leaves_running_messages_in_the_queue() {
    let bench = Bench::new();
    bench.put("wait", "slow").await;
    let (shutdown, runner) = bench.start().await;
    bench.until("it runs", async |bench| bench.ran().len() == 1).await;
    shutdown.cold.cancel();
    stop(shutdown, runner).await;
    assert_eq!(bench.queue.len().await.unwrap(), 1);
}

#[tokio::test]
async fn an_eta_is_waited_for_and_holds_up_nothing() {
    let bench = Bench::new();
    let eta = Timestamp::now() + Duration::from_millis(300);
    let mut later = Bench::call("say", "later");
    later.eta = Some(eta.to_string());
    bench.queue.put(later).await.unwrap();
    bench.put("say", "sooner").await;
    let (shutdown, runner) = bench.start().await;
    bench.until_empty().await;
    assert!(Timestamp::now() >= eta);
    assert_eq!(bench.ran(), ["sooner again", "later again"]);
    stop(shutdown, runner).await;
}

#[tokio::test]
async fn an_expired_message_leaves_without_a_run() {
    let bench = Bench::new();
    let mut late = Bench::call("say", "late");
    late.expires = Some((Timestamp::now() - Duration::from_secs(1)).to_string());
    bench.queue.put(late).await.unwrap();
    let (shutdown, runner) = bench.start().await;
    bench.until_empty().await;
    assert!(bench.ran().is_empty() && bench.dead_letters().await.is_empty());
    stop(shutdown, runner).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_run_is_set_aside_with_the_reason() {
    let bench = Bench::new();
    bench.put("nobody.knows", "1").await;
    bench.put("reject", "2").await;
    let rows =
        r#"INSERT INTO queue (message) VALUES ('not json'), ('{"properties":{},"body":{"text":"{}"}}')"#;
    bench
        .database
        .write(move |connection| connection.execute(rows, []))
        .await
        .unwrap();
    bench.put("say", "after").await;
    let (shutdown, runner) = bench.start().await;
    bench.until_empty().await;
    assert_eq!(bench.ran(), ["2 again", "after again"]);
    let letters = bench.dead_letters().await;
    assert_eq!(
        letters.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    for ((_, reason), expected) in
        letters
            .iter()
            .zip(["'nobody.knows'", "no thanks", "cannot be read", "eceived"])
    {
        assert!(reason.contains(expected), "{letters:?}");
    }
    stop(shutdown, runner).await;
}

#[tokio::test]
async fn a_requeued_message_comes_after_the_others_and_a_panic_stops_no_other() {
    let bench = Bench::new();
    let (shutdown, runner) = bench.start().await;
    bench.put("panic", "bad").await;
    bench.put("wait", "first").await;
    bench
        .until("both ran", async |bench| bench.ran().len() == 2)
        .await;
    bench.gate.add_permits(1);
    bench.until_empty().await;
    bench.put("requeue", "again").await;
    bench
        .until("it comes back", async |bench| bench.ran().len() > 3)
        .await;
    assert_eq!(bench.ran()[..4], ["bad", "first", "again", "again"]);
    shutdown.cold.cancel();
    stop(shutdown, runner).await;
    assert_eq!(bench.queue.len().await.unwrap(), 1);
    assert!(bench.dead_letters().await.is_empty());
}
