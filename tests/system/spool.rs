//! The spool of a real worker: during an outage of the audit log messages are acked, and what it holds outlives kill -9.

use std::sync::Arc;
use std::time::Duration;

use harness::{Broker, Process, Receiver, Redis, Vhost, eventually};
use tempfile::TempDir;

use crate::load::{Account, Answers, Load, SETTLE};
use crate::services::{Acl, Api, By, START, rust};

/// All that a worker with a spool works with; who asks is dropped before who is asked.
struct Rig {
    api: Arc<Api>,
    acl: Acl,
    receiver: Receiver,
    log: Redis,
    _allow_list: Redis,
    vhost: Vhost,
    /// Where the spool is.
    directory: TempDir,
}

impl Rig {
    async fn start(name: &str) -> Self {
        let vhost = Broker::shared().await.vhost(name).await;
        let allow_list = Redis::start().await;
        Self {
            api: Arc::new(Api::start(By::Rust, &vhost.amqp_url(), 60).await),
            acl: Acl::start(By::Rust, &allow_list).await,
            log: Redis::start().await,
            receiver: Receiver::start().await,
            directory: tempfile::tempdir().expect("a directory"),
            vhost,
            _allow_list: allow_list,
        }
    }

    async fn worker(&self) -> Process {
        let arguments = [
            "-A",
            "authorization_worker.tasks",
            "worker",
            "-l",
            "info",
            "-c",
            "20",
        ];
        let spool = self.directory.path().join("spool.db").display().to_string();
        let (broker, acl, port) = (
            self.vhost.amqp_url(),
            self.acl.0.url(),
            self.log.port().to_string(),
        );
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

    /// So many requests, all accepted, called back and acked.
    async fn requests(&self, count: usize, every: Duration) -> Answers {
        let load = Load::start(Arc::clone(&self.api), self.receiver.url("/spool"), count, every);
        let answers = load.finished().await;
        assert_eq!(answers.accepted.len(), count, "{:?}", answers.others);
        eventually("all messages to be acked", SETTLE, || async {
            let depth = self.vhost.queue("celery").await;
            if self.receiver.count() >= count && depth.ready + depth.unacked == 0 {
                Ok(())
            } else {
                Err(format!("{depth:?}, {} callbacks", self.receiver.count()))
            }
        })
        .await;
        answers
    }

    /// Every accepted request has one record and one callback.
    async fn has_each_once(&self, answers: &Answers) {
        let account = Account::of(&answers.accepted, &self.receiver, &self.log).await;
        assert_eq!(account.duplicates(), 0);
        assert!(account.records.values().all(|records| *records == 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_during_an_outage_of_the_log_leaves_its_records_to_the_next() {
    let mut rig = Rig::start("spool").await;
    let first = rig.worker().await;
    rig.log.kill();
    let answers = rig.requests(200, Duration::from_millis(5)).await;
    let began = first.wait_for_line("records go to the spool", SETTLE).await;
    assert!(
        began.contains("cannot write to the audit log in Redis"),
        "{began}"
    );
    first.kill();

    rig.log.start_again().await;
    let second = rig.worker().await;
    let over = second.wait_for_line("takes records again", SETTLE).await;
    assert!(over.contains("200 were replayed"), "{over}");
    rig.has_each_once(&answers).await;
    println!("log down, kill -9: 200 accepted, 0 lost, 0 twice");
}

/// Two workers keep their records in one file; one is killed during the outage, the other while it replays.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_replay_of_a_shared_spool_loses_nothing() {
    const COUNT: usize = 1500;
    let mut rig = Rig::start("spool-shared").await;
    let first = rig.worker().await;
    let second = rig.worker().await;
    rig.log.kill();
    let answers = rig.requests(COUNT, Duration::from_millis(3)).await;
    // Not where records go: one may have found the file busy at that moment.
    for worker in [&first, &second] {
        let away = "cannot write to the audit log in Redis";
        worker.wait_for_line(away, SETTLE).await;
    }
    first.kill();

    rig.log.start_again().await;
    let replayed = eventually("the replay to begin", SETTLE, || async {
        match rig.log.audit_records().await.len() {
            0 => Err("no record yet".to_owned()),
            some => Ok(some),
        }
    })
    .await;
    second.kill();
    let third = rig.worker().await;
    rig.has_each_once(&answers).await;
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
