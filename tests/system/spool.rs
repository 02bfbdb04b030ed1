//! The spool of a real worker: messages are acked during an outage of the audit log, and the spool's records
//! survive kill -9.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use harness::{Broker, Process, Receiver, Redis, Signal, Vhost, eventually};
use tempfile::TempDir;

use crate::load::{Account, Answers, Load, SETTLE};
use crate::services::{Acl, Api, By, START, rust};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

/// Everything that a worker with a spool needs. Clients are dropped before their servers.
struct Rig {
    api: Arc<Api>,
    acl: Acl,
    receiver: Receiver,
    log: Redis,
    _allow_list: Redis,
    vhost: Vhost,
    /// The directory of the spool.
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
        self.worker_by(WORKER, &[]).await
    }

    /// Starts a worker whose files cannot grow, as on a full disk, until [`give_room`].
    async fn worker_without_room(&self) -> Process {
        let script = "trap '' XFSZ; ulimit -S -f 1; exec \"$0\" \"$@\"";
        self.worker_by("/bin/sh", &["-c", script, WORKER]).await
    }

    async fn worker_by(&self, program: &str, before: &[&str]) -> Process {
        let options = [
            "-A",
            "authorization_worker.tasks",
            "worker",
            "-l",
            "info",
            "-c",
            "20",
        ];
        let arguments = [before, &options].concat();
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
        let process = rust(program, &arguments, &variables);
        process.wait_for_line(" ready.", START).await;
        process
    }

    /// Sends `count` requests and checks that all of them are accepted, called back and acked.
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

    /// Asserts that every accepted request has one record and one callback.
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
    let over = second.wait_for_line("accepts records again", SETTLE).await;
    assert!(over.contains("200 were replayed"), "{over}");
    rig.has_each_once(&answers).await;
    println!("log down, kill -9: 200 accepted, 0 lost, 0 twice");
}

/// Two workers keep their records in one file. One is killed during the outage, the other during its replay.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_replay_of_a_shared_spool_loses_nothing() {
    const COUNT: usize = 1500;
    let mut rig = Rig::start("spool-shared").await;
    let first = rig.worker().await;
    let second = rig.worker().await;
    rig.log.kill();
    let answers = rig.requests(COUNT, Duration::from_millis(3)).await;
    // Do not wait for the line about the spool: a worker may have found the file busy at that moment.
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

fn give_room(process: &Process) {
    let pid = process.pid().to_string();
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &pid, "--fsize=unlimited:"]);
    assert!(prlimit.status().expect("prlimit, of util-linux").success());
}

/// Records wait in a spool that cannot even be read for lack of room. New records go to the audit log; those
/// in the spool follow when there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_without_room_for_its_spool() {
    let mut rig = Rig::start("spool-without-room").await;
    let first = rig.worker().await;
    rig.log.kill();
    let waiting = rig.requests(50, Duration::from_millis(5)).await;
    first.signal(Signal::TERM);
    assert!(first.wait_exit(SETTLE).await.success());

    rig.log.start_again().await;
    let second = rig.worker_without_room().await;
    let full = second.wait_for_line("records are held back", SETTLE).await;
    assert!(full.contains("its disk is full"), "{full}");
    let new = rig.requests(50, Duration::from_millis(5)).await;
    rig.has_each_once(&new).await;
    assert_eq!(rig.log.audit_records().await.len(), 50);

    give_room(&second);
    let over = second
        .wait_for_line("the audit log accepts records again", SETTLE)
        .await;
    assert!(over.contains("50 were replayed"), "{over}");
    rig.has_each_once(&waiting).await;
}

/// A spool that was configured explicitly must be usable; the default one only causes a warning (ADR 39).
#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_cannot_be_written_is_said_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("missing/spool.db").display().to_string();
    let variables = [("REDIS_HOST", "127.0.0.1"), ("AUDIT_SPOOL", spool.as_str())];
    let process = rust(WORKER, &["worker"], &variables);
    let status = process.wait_exit(START).await;
    let output = process.tail();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains(&spool), "{output}");
    assert!(!output.contains("panicked"), "{output}");
}
