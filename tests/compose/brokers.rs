//! The order of things: three brokers, classic and quorum queues, both generations of compose.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::engine::{Compose, docker_reads};
use crate::matrix::eight_combinations;
use crate::outages::{down_and_up_again, nothing_is_lost_by_kills};
use crate::stack::{Part, Stack};
use crate::swaps::six_live_swaps;
use crate::table::Table;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stack_of_compose() {
    let begin = Instant::now();
    let mut table = Table::default();
    for (compose, rabbitmq) in [(Compose::V1, "3.10"), (Compose::V2, "4.0"), (Compose::V2, "4.3")] {
        let mut stack = Stack::up(compose, rabbitmq).await;
        let version = stack.rabbitmqctl(&["version"]);
        println!(
            "RabbitMQ {} by compose {compose:?}, up after {:.0} s",
            version.trim(),
            begin.elapsed().as_secs_f64()
        );
        let classic = format!("{rabbitmq} classic");
        table.add(&classic, eight_combinations(&mut stack, &classic).await);
        if rabbitmq == "4.0" {
            stack.healthy().await;
            six_live_swaps(&mut stack).await;
            nothing_is_lost_by_kills(&stack).await;
            down_and_up_again(&stack).await;
        }
        if rabbitmq != "3.10" {
            use_quorum_queue(&stack).await;
            let quorum = format!("{rabbitmq} quorum");
            table.add(&quorum, eight_combinations(&mut stack, &quorum).await);
        }
        println!(
            "RabbitMQ {rabbitmq} done after {:.0} s",
            begin.elapsed().as_secs_f64()
        );
    }
    table.close();
}

/// As docs/MIGRATION.md says: a queue that is declared from now on is a quorum queue, with a delivery limit and a queue
/// for what exceeds it.
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
    let dead = r#"{"queues":[{"name":"celery.dead","vhost":"/","durable":true,"auto_delete":false,"arguments":{}}]}"#;
    docker_reads(
        &[
            "exec",
            "-i",
            &stack.container("rabbit"),
            "rabbitmqctl",
            "import_definitions",
        ],
        dead,
    );
    stack.start().await;
    let queues = stack.rabbitmqctl(&["list_queues", "name", "type", "--no-table-headers"]);
    assert!(queues.lines().any(|line| line == "celery\tquorum"), "{queues}");
}

/// Compose itself refuses a value that is neither, before it starts anything, and says which variable it is.
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
