//! The spool: records that the audit log does not accept are kept in a file and replayed in order; nothing is lost and
//! nothing is written twice.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use explain::explain;
use harness::{Redis, eventually};
use rusqlite::Connection;
use service_kit::readiness::Readiness;
use tempfile::TempDir;
use tokio::task::JoinSet;
use worker::audit_log::redis::RedisAuditLog;
use worker::audit_log::spool::{Left, Spool};
use worker::audit_log::{AuditError, AuditLog, AuditRecord, AuditSink, Fate};
use worker::verdict::Verdict;

const PATIENCE: Duration = Duration::from_mins(1);

fn record(n: i128) -> AuditRecord {
    AuditRecord {
        task_id: format!("task-{n}"),
        start_time_ns: 1_000_000 + n,
        station_id: "5e3a0000-0000-4000-8000-000000000001".to_owned(),
        driver_token: "validDriverToken-0001".to_owned(),
        status: Verdict::NotAllowed,
        callback_status: "<Response [200]>".to_owned(),
        callback_url: format!("http://127.0.0.1/{n}"),
    }
}

fn file(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("spool.db")
}

fn spool(directory: &TempDir) -> Spool {
    Spool::new(&file(directory), 64).unwrap()
}

fn on_redis(redis: &Redis, spool: Spool) -> (Arc<AuditLog>, Readiness) {
    on(RedisAuditLog::new("127.0.0.1", redis.port()).unwrap(), spool)
}

fn on(sink: impl AuditSink, spool: Spool) -> (Arc<AuditLog>, Readiness) {
    let readiness = Readiness::new();
    let log = AuditLog::with_spool(sink, readiness.part("audit log"), Some(spool));
    (Arc::new(log), readiness)
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap()
}

/// Writes these records concurrently, as tasks do.
async fn write_all(log: &Arc<AuditLog>, numbers: std::ops::Range<i128>) {
    let mut writing = JoinSet::new();
    for n in numbers {
        let log = Arc::clone(log);
        writing.spawn(async move { log.write(record(n)).await });
    }
    soon(writing.join_all()).await;
}

fn left(path: &Path) -> Left {
    Spool::new(path, 64).unwrap().left().unwrap()
}

async fn down(redis: &mut Redis, readiness: &Readiness) {
    readiness.ready().await;
    redis.kill();
}

/// The fate of a record; `None` if the store is unavailable.
type Rule = fn(&AuditRecord) -> Option<Fate>;

/// A sink that follows a test's rule: the records that it accepted, in order, and the fate that it gives each record.
#[derive(Clone)]
struct Script {
    taken: Arc<Mutex<Vec<String>>>,
    fate: Arc<Mutex<Rule>>,
}

impl Script {
    fn new(fate: Rule) -> Self {
        Self {
            taken: Arc::default(),
            fate: Arc::new(Mutex::new(fate)),
        }
    }

    fn becomes(&self, fate: Rule) {
        *self.fate.lock().unwrap() = fate;
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

const AWAY: Rule = |_| None;
const WELL: Rule = |_| Some(Fate::Written);
const CHOOSY: Rule = |record| {
    Some(if record.task_id == "task-2" {
        Fate::Refused("no such mapping".to_owned())
    } else {
        Fate::Written
    })
};

impl AuditSink for Script {
    async fn check(&self) -> Result<(), AuditError> {
        self.write(&[record(0)]).await.map(|_| ())
    }

    async fn write(&self, records: &[AuditRecord]) -> Result<Vec<Fate>, AuditError> {
        let fate = *self.fate.lock().unwrap();
        let fates: Option<Vec<Fate>> = records.iter().map(fate).collect();
        let fates = fates.ok_or_else(|| AuditError {
            store: "a script".to_owned(),
            source: "away".into(),
        })?;
        let written = records
            .iter()
            .zip(&fates)
            .filter(|(record, fate)| **fate == Fate::Written && record.task_id != "task-0");
        let written = written.map(|(record, _)| record.task_id.clone());
        self.taken.lock().unwrap().extend(written);
        Ok(fates)
    }
}

#[tokio::test]
async fn the_file_is_made_by_an_outage_and_emptied_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let sink = Script::new(WELL);
    let (log, readiness) = on(sink.clone(), spool(&directory));
    soon(log.write(record(1))).await;
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

    sink.becomes(AWAY);
    for n in 2..700 {
        soon(log.write(record(n))).await;
    }
    assert!(!readiness.is_ready());
    let said = readiness.missing()["audit log"].clone();
    assert!(said.contains("records go to the spool"), "{said}");
    let mode = std::fs::metadata(file(&directory)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(sink.taken(), ["task-1"]);

    sink.becomes(WELL);
    soon(readiness.ready()).await;
    soon(log.write(record(700))).await;
    let expected: Vec<_> = (1..=700).map(|n| format!("task-{n}")).collect();
    assert_eq!(sink.taken(), expected);
    assert_eq!(left(&file(&directory)), Left::default());
}

#[tokio::test]
async fn records_that_come_during_a_replay_follow_it() {
    let directory = tempfile::tempdir().unwrap();
    let sink = Script::new(AWAY);
    let (log, readiness) = on(sink.clone(), spool(&directory));
    soon(async {
        for n in 1..=2_000 {
            log.write(record(n)).await;
            if n == 300 {
                sink.becomes(WELL);
            }
        }
    })
    .await;
    soon(readiness.ready()).await;
    let expected: Vec<_> = (1..=2_000).map(|n| format!("task-{n}")).collect();
    assert_eq!(sink.taken(), expected);
}

#[tokio::test]
async fn a_redis_that_is_down_gets_every_record_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut redis = Redis::start().await;
    let (log, readiness) = on_redis(&redis, spool(&directory));
    down(&mut redis, &readiness).await;
    write_all(&log, 1..500).await;
    redis.start_again().await;
    soon(readiness.ready()).await;
    assert_eq!(redis.audit_records().await.len(), 499);
    write_all(&log, 500..510).await;
    assert_eq!(redis.audit_records().await.len(), 509);
}

#[tokio::test]
async fn a_frozen_redis_is_given_up_and_makes_no_second_record() {
    let directory = tempfile::tempdir().unwrap();
    let redis = Redis::start().await;
    let (log, readiness) = on_redis(&redis, spool(&directory));
    readiness.ready().await;
    redis.freeze();
    // Without the spool, nothing would return before the thaw.
    write_all(&log, 1..50).await;
    redis.thaw();
    soon(readiness.ready()).await;
    assert_eq!(redis.audit_records().await.len(), 49);
}

#[tokio::test]
async fn a_refused_record_is_kept_and_stops_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let sink = Script::new(CHOOSY);
    let (log, readiness) = on(sink.clone(), spool(&directory));
    write_all(&log, 1..4).await;
    assert!(readiness.is_ready());
    assert_eq!(sink.taken().len(), 2);

    sink.becomes(AWAY);
    write_all(&log, 1..4).await;
    sink.becomes(CHOOSY);
    soon(readiness.ready()).await;
    assert_eq!(
        left(&file(&directory)),
        Left {
            waiting: 0,
            refused: 2
        }
    );
    let row: (String, String, String) = Connection::open(file(&directory))
        .unwrap()
        .query_row("SELECT task_id, callback_url, reason FROM refused", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(
        row,
        (
            "task-2".into(),
            "http://127.0.0.1/2".into(),
            "no such mapping".into()
        )
    );
}

#[tokio::test]
async fn without_a_spool_a_refused_record_is_held_and_stops_no_other() {
    let sink = Script::new(CHOOSY);
    let log = Arc::new(AuditLog::new(sink.clone(), Readiness::new().part("audit log")));
    let mut refused = JoinSet::new();
    refused.spawn({
        let log = Arc::clone(&log);
        async move { log.write(record(2)).await }
    });
    write_all(&log, 3..6).await;
    assert_eq!(sink.taken().len(), 3);
    assert!(refused.try_join_next().is_none());
}

#[tokio::test]
async fn a_full_spool_keeps_records_back_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let sink = Script::new(AWAY);
    let (log, readiness) = on(sink.clone(), Spool::new(&file(&directory), 1).unwrap());
    let big = AuditRecord {
        callback_url: "x".repeat(300_000),
        ..record(1)
    };
    let mut writing = JoinSet::new();
    for n in 1..=8 {
        let (log, record) = (
            Arc::clone(&log),
            AuditRecord {
                task_id: format!("task-{n}"),
                ..big.clone()
            },
        );
        writing.spawn(async move { log.write(record).await });
        // Each record gets its own transaction.
        tokio::time::timeout(Duration::from_secs(2), writing.join_next())
            .await
            .ok();
    }
    assert!(!writing.is_empty(), "no record was held back");
    eventually("the full spool to be reported", PATIENCE, || async {
        let said = readiness.missing().get("audit log").cloned().unwrap_or_default();
        if said.contains("is full") && said.contains("AUDIT_SPOOL_MAX_MIB (1 MiB)") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    assert!(left(&file(&directory)).waiting > 0);

    sink.becomes(WELL);
    soon(async { while writing.join_next().await.is_some() {} }).await;
    soon(readiness.ready()).await;
    let mut taken = sink.taken();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 8);
    assert_eq!(left(&file(&directory)), Left::default());
}

#[tokio::test]
async fn what_is_left_from_before_is_replayed_first() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = on(Script::new(AWAY), spool(&directory));
    write_all(&log, 1..4).await;
    drop(log);
    let sink = Script::new(WELL);
    let spool = spool(&directory);
    assert_eq!(spool.left().unwrap().waiting, 3);
    let (log, readiness) = on(sink.clone(), spool);
    soon(log.write(record(4))).await;
    soon(readiness.ready()).await;
    assert_eq!(sink.taken().last().unwrap(), "task-4");
    assert_eq!(sink.taken().len(), 4);
}

/// The size on which docs/RELIABILITY.md bases its numbers.
#[tokio::test]
async fn a_record_takes_a_quarter_of_a_kib() {
    const COUNT: i128 = 5_000;
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = on(Script::new(AWAY), spool(&directory));
    let mut writing = JoinSet::new();
    for n in 0..COUNT {
        let log = Arc::clone(&log);
        let record = AuditRecord {
            task_id: format!("a3d6f4a2-6c1e-4b57-9d4c-{n:012}"),
            start_time_ns: 1_795_346_136_809_199_617 + n,
            callback_url: format!("https://charging.example.com/callbacks/authorization/{n:012}"),
            ..record(n)
        };
        writing.spawn(async move { log.write(record).await });
    }
    soon(writing.join_all()).await;
    drop(log);
    let count = left(&file(&directory)).waiting;
    assert_eq!(i128::from(count), COUNT);
    let pages: i64 = Connection::open(file(&directory))
        .unwrap()
        .query_row(
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let each = pages / i64::from(count);
    println!("{count} records in {pages} bytes, {each} each");
    assert!((200..300).contains(&each), "{each}");
}

#[tokio::test]
async fn two_workers_share_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut redis = Redis::start().await;
    let (one, ready_one) = on_redis(&redis, spool(&directory));
    let (two, ready_two) = on_redis(&redis, spool(&directory));
    ready_one.ready().await;
    down(&mut redis, &ready_two).await;
    tokio::join!(write_all(&one, 1..300), write_all(&two, 300..600));
    redis.start_again().await;
    soon(ready_one.ready()).await;
    soon(ready_two.ready()).await;
    assert_eq!(redis.audit_records().await.len(), 599);
    assert_eq!(left(&file(&directory)), Left::default());
}

#[test]
fn a_file_that_is_no_spool_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let refused = || {
        let before = std::fs::read(&path).unwrap();
        let error = Spool::new(&path, 64).unwrap_err();
        assert!(!error.is_unwritable());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        explain(&error)
    };
    std::fs::write(
        &path,
        "this is not a database but a text of some length ".repeat(100),
    )
    .unwrap();
    assert!(refused().contains("it is not an SQLite database"));
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE a (b)")
        .unwrap();
    assert!(refused().contains("it belongs to another program"));
    std::fs::remove_file(&path).unwrap();
    let newer = "PRAGMA application_id = 1668313968; PRAGMA user_version = 2; CREATE TABLE a (b)";
    Connection::open(&path).unwrap().execute_batch(newer).unwrap();
    assert!(refused().contains("written by a newer version"));
    let missing = Spool::new(&directory.path().join("none/spool.db"), 64).unwrap_err();
    assert!(missing.is_unwritable(), "{missing}");
}
