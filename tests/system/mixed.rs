//! A Python and a Rust worker on one queue at the same time.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use harness::{Broker, Depth, Process, eventually};
use uuid::Uuid;

use crate::services::{By, Cast, Stack, worker};

const REQUESTS: usize = 500;
const TOKEN: &str = "validDriverToken-0001";
const WAIT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_a_queue_and_answer_each_request_once() {
    let vhost = Broker::shared().await.vhost("mixed").await;
    let cast = Cast {
        worker: By::Python,
        ..Cast::RUST
    };
    let stack = Stack::start(cast, vhost).await;
    let rust = worker(By::Rust, &stack.vhost, &stack.acl, &stack.redis, 4).await;

    let stations: Vec<String> = (0..REQUESTS).map(|_| Uuid::new_v4().to_string()).collect();
    let callback = stack.receiver.url("/mixed");
    let accepted = stream::iter(&stations)
        .map(|station| stack.api.authorize(station, TOKEN, &callback))
        .buffer_unordered(50)
        .filter(|answer| std::future::ready(answer.as_ref().is_some_and(|answer| answer.status == 200)))
        .count()
        .await;
    assert_eq!(accepted, REQUESTS);

    eventually("an empty queue", WAIT, || async {
        let depth = stack.vhost.queue("celery").await;
        match depth {
            Depth {
                ready: 0, unacked: 0, ..
            } => Ok(()),
            depth => Err(format!("{depth:?}")),
        }
    })
    .await;
    stack.receiver.wait_for(REQUESTS, WAIT).await;
    let records = eventually("a record of each request", WAIT, || async {
        let records = stack.redis.audit_records().await;
        if records.len() >= REQUESTS {
            Ok(records)
        } else {
            Err(format!("{} records", records.len()))
        }
    })
    .await;

    let callbacks = stack.receiver.by_station();
    assert!(
        stations
            .iter()
            .all(|station| callbacks.get(station).is_some_and(|calls| calls.len() == 1))
    );
    let recorded: HashSet<&str> = records.iter().map(|record| record.field("station_id")).collect();
    assert_eq!((records.len(), recorded.len()), (REQUESTS, REQUESTS));

    // The line is written after the record.
    let (python, rust) = eventually("a line of each run", WAIT, || async {
        let shares = (succeeded(&stack.worker), succeeded(&rust));
        if shares.0 + shares.1 >= REQUESTS {
            Ok(shares)
        } else {
            Err(format!("{shares:?}"))
        }
    })
    .await;
    println!("{REQUESTS} requests: {python} run by Python, {rust} by Rust");
    assert_eq!(python + rust, REQUESTS);
    assert!(
        python > 0 && rust > 0,
        "both take their share: {python} and {rust}"
    );
}

fn succeeded(worker: &Process) -> usize {
    let lines = worker.lines();
    lines
        .iter()
        .filter(|line| line.contains("] succeeded in "))
        .count()
}
