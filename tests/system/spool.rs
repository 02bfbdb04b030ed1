//! The spool of a real worker: during an outage of the audit log messages are acked, and what it holds outlives kill -9.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness::{Broker, Process, Receiver, Redis, Vhost, eventually};

use crate::load::{Account, Load, SETTLE};
use crate::services::{Acl, Api, By, START, rust};

/// A worker whose audit log is in `log`, and its spool in `directory`.
async fn worker(vhost: &Vhost, acl: &Acl, log: &Redis, directory: &Path) -> Process {
    let arguments = [
        "-A",
        "authorization_worker.tasks",
        "worker",
        "-l",
        "info",
        "-c",
        "20",
    ];
    let spool = directory.join("spool.db").display().to_string();
    let (broker, acl, port) = (vhost.amqp_url(), acl.0.url(), log.port().to_string());
    let variables = [
        ("BROKER_URL", broker.as_str()),
        ("AUTHORIZATION_SERVICE_URL", &acl),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("AUDIT_SPOOL", &spool),
    ];
    let process = rust(env!("CARGO_BIN_EXE_test-worker"), &arguments, &variables);
    process.wait_for_line(" ready.", START).await;
    process
}

/// All messages are acked, and each has had its callback.
async fn all_acked(vhost: &Vhost, receiver: &Receiver, count: usize) {
    eventually("all messages to be acked", SETTLE, || async {
        let depth = vhost.queue("celery").await;
        if receiver.count() >= count && depth.ready + depth.unacked == 0 {
            Ok(())
        } else {
            Err(format!("{depth:?}, {} callbacks", receiver.count()))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_during_an_outage_of_the_log_leaves_its_records_to_the_next() {
    let vhost = Broker::shared().await.vhost("spool").await;
    let (allow_list, mut log) = (Redis::start().await, Redis::start().await);
    let acl = Acl::start(By::Rust, &allow_list).await;
    let api = Arc::new(Api::start(By::Rust, &vhost.amqp_url(), 60).await);
    let receiver = Receiver::start().await;
    let directory = tempfile::tempdir().unwrap();

    let first = worker(&vhost, &acl, &log, directory.path()).await;
    log.kill();
    let load = Load::start(api, receiver.url("/spool"), 200, Duration::from_millis(5));
    let answers = load.finished().await;
    assert_eq!(answers.accepted.len(), 200, "{:?}", answers.others);
    all_acked(&vhost, &receiver, 200).await;
    let began = first.wait_for_line("records go to the spool", SETTLE).await;
    assert!(
        began.contains("cannot write to the audit log in Redis"),
        "{began}"
    );
    first.kill();

    log.start_again().await;
    let second = worker(&vhost, &acl, &log, directory.path()).await;
    let over = second.wait_for_line("takes records again", SETTLE).await;
    assert!(over.contains("200 were replayed"), "{over}");
    let account = Account::of(&answers.accepted, &receiver, &log).await;
    assert_eq!(account.duplicates(), 0);
    assert!(account.records.values().all(|records| *records == 1));
    println!("log down, kill -9: 200 accepted, 0 lost, 0 twice");
}

/// Two workers keep their records in one file; one is killed during the outage, the other while it replays.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_replay_of_a_shared_spool_loses_nothing() {
    const COUNT: usize = 1500;
    let vhost = Broker::shared().await.vhost("spool-shared").await;
    let (allow_list, mut log) = (Redis::start().await, Redis::start().await);
    let acl = Acl::start(By::Rust, &allow_list).await;
    let api = Arc::new(Api::start(By::Rust, &vhost.amqp_url(), 60).await);
    let receiver = Receiver::start().await;
    let directory = tempfile::tempdir().unwrap();

    let first = worker(&vhost, &acl, &log, directory.path()).await;
    let second = worker(&vhost, &acl, &log, directory.path()).await;
    log.kill();
    let load = Load::start(api, receiver.url("/shared"), COUNT, Duration::from_millis(3));
    let answers = load.finished().await;
    assert_eq!(answers.accepted.len(), COUNT, "{:?}", answers.others);
    all_acked(&vhost, &receiver, COUNT).await;
    // Not where records go: one may have found the file busy at that moment.
    for worker in [&first, &second] {
        let away = "cannot write to the audit log in Redis";
        worker.wait_for_line(away, SETTLE).await;
    }
    first.kill();

    log.start_again().await;
    let replayed = eventually("the replay to begin", SETTLE, || async {
        match log.audit_records().await.len() {
            0 => Err("no record yet".to_owned()),
            some => Ok(some),
        }
    })
    .await;
    second.kill();
    let third = worker(&vhost, &acl, &log, directory.path()).await;
    let account = Account::of(&answers.accepted, &receiver, &log).await;
    assert_eq!(account.duplicates(), 0);
    assert!(account.records.values().all(|records| *records == 1));
    println!("{replayed} of {COUNT} records replayed at the kill: 0 lost, 0 twice");
    drop(third);
}

/// What was asked for must be possible; what is there by default only warns (ADR 39).
#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_cannot_be_written_is_said_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("missing/spool.db").display().to_string();
    let variables = [("REDIS_HOST", "127.0.0.1"), ("AUDIT_SPOOL", spool.as_str())];
    let process = rust(env!("CARGO_BIN_EXE_test-worker"), &["worker"], &variables);
    let status = process.wait_exit(START).await;
    let output = process.tail();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains(&spool), "{output}");
    assert!(!output.contains("panicked"), "{output}");
}
