//! Every accepted request is called back and recorded, whatever ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use harness::{Gate, Receiver, Reply, Scratch, Signal};

use crate::running::{DRIVER, Running, WAIT, all_done, records, station, waiting};

/// Starts a receiver that leaves callbacks without an answer until its flag is set.
async fn slow_receiver() -> (Receiver, Arc<AtomicBool>) {
    let answering = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&answering);
    let rule = move |_: &_| {
        if flag.load(Ordering::SeqCst) {
            Reply::status(200)
        } else {
            Reply::Hang
        }
    };
    (Receiver::start_with(rule).await, answering)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_right_after_the_answers_loses_nothing() {
    const REQUESTS: usize = 150;
    let directory = Scratch::new();
    let database = directory.join("a.db");
    let (receiver, answering) = slow_receiver().await;
    let running = Running::start(&database, &[]).await;
    running.allow(&station(1), DRIVER).await;
    let url = receiver.url("/cb");
    let stations: Vec<_> = (0..REQUESTS).map(station).collect();
    let accepted = join_all(stations.iter().map(|station| running.ask(station, DRIVER, &url))).await;
    running.process.kill();
    assert!(accepted.into_iter().all(|accepted| accepted.unwrap()));
    assert_eq!(
        (waiting(&database) as usize, records(&database).len()),
        (REQUESTS, 0)
    );

    receiver.clear();
    answering.store(true, Ordering::SeqCst);
    let running = Running::start(&database, &[]).await;
    running
        .process
        .wait_for_line(&format!("({REQUESTS} requests were waiting"), WAIT)
        .await;
    let records = all_done(&database).await;
    let callbacks = receiver.by_station();
    for (number, station) in stations.iter().enumerate() {
        let verdict = if number == 1 { "allowed" } else { "not_allowed" };
        assert_eq!(records[station], [verdict], "{station}");
        assert_eq!(callbacks[station].len(), 1, "{station}");
        assert_eq!(callbacks[station][0].field("status"), verdict, "{station}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_accepting_loses_nothing_that_was_accepted() {
    const CLIENTS: usize = 8;
    const ENOUGH: usize = 200;
    let (directory, receiver) = (Scratch::new(), Receiver::start().await);
    let database = directory.join("a.db");
    let running = Running::start(&database, &[]).await;
    let url = receiver.url("/cb");
    let total = AtomicUsize::new(0);
    let clients = (0..CLIENTS).map(|client| {
        let (running, url, total) = (&running, &url, &total);
        async move {
            let mut accepted = Vec::new();
            for number in 0.. {
                let station = station(client * 1_000_000 + number);
                match running.ask(&station, DRIVER, url).await {
                    Ok(true) => accepted.push(station),
                    // The kill came before or during the answer.
                    Ok(false) | Err(_) => break,
                }
                if total.fetch_add(1, Ordering::SeqCst) == ENOUGH {
                    running.process.kill();
                }
            }
            accepted
        }
    });
    let accepted = join_all(clients).await.concat();
    assert!(accepted.len() > ENOUGH, "{}", accepted.len());

    let _running = Running::start(&database, &[]).await;
    let records = all_done(&database).await;
    let callbacks = receiver.by_station();
    let lost: Vec<_> = accepted
        .iter()
        .filter(|station| !records.contains_key(*station) || !callbacks.contains_key(*station))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost: {lost:?}",
        lost.len(),
        accepted.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_running_requests_and_keeps_the_rest() {
    const REQUESTS: usize = 150;
    // No callback is answered before the signal, so that some of the requests run and the others wait.
    let gate = Gate::closed();
    let behind = gate.clone();
    let rule = move |_: &_| Reply::Behind(behind.clone(), Box::new(Reply::status(200)));
    let (directory, receiver) = (Scratch::new(), Receiver::start_with(rule).await);
    let database = directory.join("a.db");
    let running = Running::start(&database, &[]).await;
    let url = receiver.url("/cb");
    let stations: Vec<_> = (0..REQUESTS).map(station).collect();
    let accepted = join_all(stations.iter().map(|station| running.ask(station, DRIVER, &url))).await;
    assert!(accepted.into_iter().all(|accepted| accepted.unwrap()));
    receiver.wait_for(1, WAIT).await;
    running.process.signal(Signal::TERM);
    running.process.wait_for_line("SIGTERM", WAIT).await;
    gate.open();
    let status = running.process.wait_exit(WAIT).await;
    assert_eq!(status.code(), Some(0), "{}", running.process.tail());
    let finished = records(&database).len();
    assert_eq!(waiting(&database) as usize, REQUESTS - finished);
    assert!(finished > 0 && finished < REQUESTS, "{finished}");
    assert!(
        !directory.join("a.db-wal").exists(),
        "the file alone contains everything"
    );

    let _running = Running::start(&database, &[]).await;
    let records = all_done(&database).await;
    let callbacks = receiver.by_station();
    for station in &stations {
        assert_eq!(
            (records[station].len(), callbacks[station].len()),
            (1, 1),
            "{station}"
        );
    }
}
