//! Tests with three brokers, classic and quorum queues, and both generations of compose.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::engine::{Compose, docker};
use crate::matrix::eight_combinations;
use crate::outages::{down_and_up_again, nothing_is_lost_by_kills};
use crate::stack::{Part, Stack};
use crate::swaps::six_live_swaps;
use crate::table;

/// The oldest broker, with the old compose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_3_10() {
    let mut stack = up(Compose::V1, "3.10").await;
    matrix(&mut stack, "3.10 classic").await;
}

/// The default of docker-compose.yml, with all tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_4_0() {
    let mut stack = up(Compose::V2, "4.0").await;
    stack.healthy().await;
    matrix(&mut stack, "4.0 classic").await;
    six_live_swaps(&mut stack).await;
    nothing_is_lost_by_kills(&stack).await;
    down_and_up_again(&stack).await;
    use_quorum_queue(&stack).await;
    matrix(&mut stack, "4.0 quorum").await;
}

/// The newest broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_4_3() {
    let mut stack = up(Compose::V2, "4.3").await;
    matrix(&mut stack, "4.3 classic").await;
    use_quorum_queue(&stack).await;
    matrix(&mut stack, "4.3 quorum").await;
}

async fn up(compose: Compose, rabbitmq: &str) -> Stack {
    let begin = Instant::now();
    let stack = Stack::up(compose, rabbitmq).await;
    println!(
        "RabbitMQ {} by compose {compose:?}: up in {:.0} s",
        stack.rabbitmqctl(&["version"]).trim(),
        begin.elapsed().as_secs_f64()
    );
    stack
}

async fn matrix(stack: &mut Stack, name: &str) {
    table::column(name, &eight_combinations(stack, name).await);
}

/// Follows docs/MIGRATION.md: a queue that is declared from now on is a quorum queue, with a delivery limit and a queue
/// for messages that exceed it.
async fn use_quorum_queue(stack: &Stack) {
    stack.run(&["stop", "public_api", "authorization_worker"]);
    stack.rabbitmqctl(&["delete_queue", "celery"]);
    stack.rabbitmqctl(&["update_vhost_metadata", "/", "--default-queue-type", "quorum"]);
    stack.rabbitmqctl(&[
        "set_policy",
        "--apply-to",
        "quorum_queues",
        "celery",
        "^celery$",
        r#"{"delivery-limit":20,"dead-letter-exchange":"","dead-letter-routing-key":"celery.dead"}"#,
    ]);
    let dead = r#"echo '{"queues":[{"name":"celery.dead","vhost":"/","durable":true,"auto_delete":false,"arguments":{}}]}' >/tmp/queues.json"#;
    docker(&["exec", &stack.container("rabbit"), "sh", "-c", dead]);
    stack.rabbitmqctl(&["import_definitions", "/tmp/queues.json"]);
    stack.start().await;
    let queues = stack.rabbitmqctl(&["list_queues", "name", "type", "--no-table-headers"]);
    assert!(queues.lines().any(|line| line == "celery\tquorum"), "{queues}");
}

/// Checks that compose itself refuses a value that is neither `rust` nor `python`, before it starts anything, and names
/// the variable.
#[test]
fn a_wrong_value_is_said() {
    let password = BTreeMap::from([("ELASTIC_PASSWORD", "x".to_owned())]);
    for compose in Compose::BOTH {
        compose.done(&password, &["config", "-q"]);
        for part in Part::ALL {
            let mut variables = password.clone();
            variables.insert(part.variable(), "perl".to_owned());
            let refused = compose.run(&variables, &["config", "-q"]);
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success());
            let message = format!("{}_is_rust_or_python/perl.env", part.variable());
            assert!(said.contains(&message), "{compose:?}: {said}");
        }
        let refused = compose.run(&BTreeMap::new(), &["config", "-q"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success());
        assert!(
            said.contains("copy .env.example to .env and choose a password"),
            "{said}"
        );
    }
}
