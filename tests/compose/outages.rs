//! Tests with containers that are killed, disconnected and taken down while requests are processed.

use std::time::{Duration, Instant};

use harness::{eventually, http};

use crate::engine::docker;
use crate::requests::{Batch, TOKEN, authorize, settled};
use crate::stack::{Stack, WAIT};
use crate::traffic::Traffic;

const STEADY: Duration = Duration::from_secs(1);
/// The time for which a container is unavailable.
const AWAY: Duration = Duration::from_secs(3);

/// Kills each container and starts it again, and disconnects and reconnects the broker; all services are in
/// Rust.
pub(crate) async fn nothing_is_lost_by_kills(stack: &Stack) {
    for service in [
        "authorization_worker",
        "authorization_service",
        "public_api",
        "rabbit",
        "redis",
        "elastic",
    ] {
        let begin = Instant::now();
        let traffic = Traffic::start(stack);
        tokio::time::sleep(STEADY).await;
        let container = stack.container(service);
        docker(&["kill", &container]);
        tokio::time::sleep(AWAY).await;
        docker(&["start", &container]);
        accepts_again(stack).await;
        tokio::time::sleep(STEADY).await;
        let fate = traffic.end(stack, &format!("docker kill {service}")).await;
        println!("  {:.1} s", begin.elapsed().as_secs_f64());
        assert!(fate.accepted > 10, "{service}: too few requests to say anything");
        assert_eq!(
            fate.recorded_twice, 0,
            "{service}: a record is kept under its task's id"
        );
    }

    let begin = Instant::now();
    let traffic = Traffic::start(stack);
    tokio::time::sleep(STEADY).await;
    let (network, rabbit) = (stack.network(), stack.container("rabbit"));
    docker(&["network", "disconnect", &network, &rabbit]);
    tokio::time::sleep(AWAY).await;
    docker(&["network", "connect", "--alias", "rabbit", &network, &rabbit]);
    accepts_again(stack).await;
    tokio::time::sleep(STEADY).await;
    traffic.end(stack, "docker network disconnect rabbit").await;
    println!("  {:.1} s", begin.elapsed().as_secs_f64());
}

/// Waits until a request is accepted, which shows that the public API and the broker are available again.
async fn accepts_again(stack: &Stack) {
    let batch = Batch::new();
    let (url, callback_url) = (
        stack.authorize_url(&batch.next_station(), TOKEN),
        stack.callback_url("/"),
    );
    eventually("a request to be accepted", WAIT, || async {
        if authorize(&url, &callback_url).await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err("refused".to_owned())
    })
    .await;
}

/// Checks that the contents of the queue, the allow-list and the log survive `down` and `up`.
pub(crate) async fn down_and_up_again(stack: &Stack) {
    const WAITING: u32 = 50;
    let batch = Batch::new();
    let stations = batch.stations(WAITING);
    for station in &stations {
        let answer = http::put(&stack.acl_url(station, TOKEN)).await;
        assert_eq!(answer.text(), "{\"num_added\":1}\n");
    }
    let records = stack.record_count();
    assert!(records > 0);
    stack.run(&["stop", "authorization_worker"]);
    for station in &stations {
        let url = stack.authorize_url(station, TOKEN);
        assert!(authorize(&url, &stack.callback_url("/")).await);
    }
    stack.run(&["down"]);
    assert_eq!(stack.container("rabbit"), "", "`down` removes containers");
    stack.start().await;
    let fate = settled(stack, &batch, &stations, "down and up").await;
    assert_eq!(fate.verdicts.get("allowed"), Some(&stations.len()), "{fate:?}");
    assert_eq!(stack.record_count(), records + u64::from(WAITING));
    println!(
        "down and up: {WAITING} queued requests answered, {WAITING} permissions and {records} records kept; \
         {} called back twice",
        fate.called_twice
    );
}
