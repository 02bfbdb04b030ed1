//! What becomes of messages: in order, once, late, and whatever ends meanwhile.

mod bench;

use public_api::TaskQueue as _;
use tokio::time::timeout;

use self::bench::Bench;
use super::*;

const BOUND: Duration = Duration::from_mins(1);

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
async fn a_failure_that_is_not_acked_is_set_aside() {
    let bench = Bench::new();
    bench.put("kept on failure", "1").await;
    let (shutdown, runner) = bench.start().await;
    bench.until_empty().await;
    let reason = "its task failed: ValueError('boom')".to_owned();
    assert_eq!(bench.dead_letters().await, [(1, reason)]);
    stop(shutdown, runner).await;
}

#[tokio::test]
async fn what_is_requeued_comes_after_the_others_and_a_panic_stops_nobody() {
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
