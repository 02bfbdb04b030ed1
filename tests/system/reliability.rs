//! No accepted request is lost: kills, stops, broker restarts, closed connections.

use std::sync::Arc;
use std::time::Duration;

use harness::{Broker, Gate, Process, Receiver, Redis, Reply, Signal, Vhost, eventually};
use tokio::time::Instant;

use crate::load::{Account, Load, SETTLE, seconds};
use crate::services::{Acl, Api, By, worker};

/// The Rust stack in parts, each of which can be stopped.
struct Parts {
    api: Arc<Api>,
    acl: Acl,
    redis: Redis,
    receiver: Receiver,
    vhost: Vhost,
}

impl Parts {
    async fn start(vhost: Vhost) -> Self {
        Self::start_with(vhost, Receiver::start().await).await
    }

    async fn start_with(vhost: Vhost, receiver: Receiver) -> Self {
        let redis = Redis::start().await;
        let acl = Acl::start(By::Rust, &redis).await;
        let api = Arc::new(Api::start(By::Rust, &vhost.amqp_url(), 60).await);
        Self {
            api,
            acl,
            redis,
            receiver,
            vhost,
        }
    }

    async fn worker(&self, concurrency: u32) -> Process {
        worker(By::Rust, &self.vhost, &self.acl, &self.redis, concurrency).await
    }

    fn load(&self, path: &str, count: usize, every: Duration) -> Load {
        Load::start(Arc::clone(&self.api), self.receiver.url(path), count, every)
    }

    fn steady_load(&self, path: &str, every: Duration) -> Load {
        Load::steady(Arc::clone(&self.api), self.receiver.url(path), every)
    }

    async fn queue_is_empty(&self) {
        eventually("an empty queue", SETTLE, || async {
            let depth = self.vhost.queue("celery").await;
            if depth.ready + depth.unacked == 0 {
                Ok(())
            } else {
                Err(format!("{depth:?}"))
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_loses_nothing() {
    // No callback is answered before the kill, so that all 200 requests are in flight at once, however long
    // that takes.
    let gate = Gate::closed();
    let behind = gate.clone();
    let rule = move |_: &_| Reply::Behind(behind.clone(), Box::new(Reply::status(200)));
    let receiver = Receiver::start_with(rule).await;
    let parts = Parts::start_with(Broker::shared().await.vhost("kill").await, receiver).await;
    let first = parts.worker(200).await;
    let load = parts.load("/kill", 200, Duration::from_millis(1));
    eventually("200 requests in flight", SETTLE, || async {
        let depth = parts.vhost.queue("celery").await;
        if depth.unacked == 200 {
            Ok(())
        } else {
            Err(format!("{depth:?}"))
        }
    })
    .await;
    first.kill();
    gate.open();

    let answers = load.finished().await;
    assert_eq!(
        (answers.accepted.len(), answers.unavailable),
        (200, 0),
        "{:?}",
        answers.others
    );
    let second = parts.worker(200).await;
    let account = Account::of(&answers.accepted, &parts.receiver, &parts.redis).await;
    parts.queue_is_empty().await;
    println!(
        "kill -9 with 200 in flight: 0 lost, {} called back twice",
        account.duplicates()
    );
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_stop_loses_nothing_and_repeats_nothing() {
    let parts = Parts::start(Broker::shared().await.vhost("term").await).await;
    let first = parts.worker(20).await;
    let load = parts.load("/slow/100", 400, Duration::from_millis(3));
    parts.receiver.wait_for(60, SETTLE).await;
    first.signal(Signal::TERM);
    let status = first.wait_exit(SETTLE).await;
    assert_eq!(status.code(), Some(0));
    assert!(
        first
            .stdout()
            .iter()
            .any(|line| line == "worker: Warm shutdown (MainProcess)")
    );

    let answers = load.finished().await;
    assert_eq!(answers.accepted.len(), 400, "{:?}", answers.others);
    let second = parts.worker(20).await;
    let account = Account::of(&answers.accepted, &parts.receiver, &parts.redis).await;
    parts.queue_is_empty().await;
    assert_eq!(account.duplicates(), 0);
    assert!(account.records.values().all(|records| *records == 1));
    println!("SIGTERM under load: 400 accepted, 0 lost, 0 answered twice");
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_broker_loses_nothing_that_was_accepted() {
    let mut broker = Broker::start().await;
    let parts = Parts::start(broker.vhost("restart").await).await;
    let _worker = parts.worker(20).await;
    let load = parts.steady_load("/restart", Duration::from_millis(10));
    parts.receiver.wait_for(100, SETTLE).await;
    let before = parts.receiver.count();
    broker.stop().await;
    broker.start_again().await;
    let back = Instant::now();
    let during = parts.receiver.count();
    // This shows that the worker need not be restarted. docs/RELIABILITY.md gives the time that it takes on a
    // dedicated machine.
    eventually("the worker to resume by itself", SETTLE, || async {
        let now = parts.receiver.count();
        if now > during + 20 {
            Ok(())
        } else {
            Err(format!("{now} callbacks, {during} at the broker's return"))
        }
    })
    .await;
    let resumed = seconds(back);

    let answers = load.end().await;
    assert!(answers.others.is_empty(), "{:?}", answers.others);
    assert!(answers.unavailable > 0, "requests without a broker are refused");
    let account = Account::of(&answers.accepted, &parts.receiver, &parts.redis).await;
    parts.queue_is_empty().await;
    println!(
        "broker restart: {} accepted, {} answered 503, {before} called back before, 0 lost, {} called back twice, \
         resumed {resumed:.1} s after the broker's return",
        answers.accepted.len(),
        answers.unavailable,
        account.duplicates()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_connections_lose_nothing_and_keep_the_prefetch() {
    let parts = Parts::start(Broker::shared().await.vhost("closed").await).await;
    let _worker = parts.worker(20).await;
    let prefetch = async || {
        let consumers = parts.vhost.consumers("celery").await;
        consumers
            .iter()
            .map(|consumer| (consumer.prefetch, consumer.channel_prefetch))
            .collect::<Vec<_>>()
    };
    assert_eq!(prefetch().await, [(80, 0)]);

    let load = parts.steady_load("/closed", Duration::from_millis(5));
    for round in 1..=10 {
        let seen = parts.receiver.count();
        eventually(format!("callbacks before round {round}"), SETTLE, || async {
            let now = parts.receiver.count();
            if now > seen + 20 {
                Ok(())
            } else {
                Err(format!("{now} callbacks"))
            }
        })
        .await;
        assert!(parts.vhost.close_all_connections().await > 0, "round {round}");
    }

    let answers = load.end().await;
    assert!(answers.others.is_empty(), "{:?}", answers.others);
    let account = Account::of(&answers.accepted, &parts.receiver, &parts.redis).await;
    parts.queue_is_empty().await;
    eventually("the same prefetch as before", SETTLE, || async {
        match prefetch().await.as_slice() {
            [(80, 0)] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    println!(
        "close_all_connections ten times: {} accepted, {} answered 503, 0 lost, {} called back twice",
        answers.accepted.len(),
        answers.unavailable,
        account.duplicates()
    );
}
