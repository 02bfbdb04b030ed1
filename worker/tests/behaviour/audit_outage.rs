//! Redis in trouble: no record is lost, and readiness reports the trouble.

use std::sync::Arc;
use std::time::Duration;

use harness::eventually;
use service_kit::readiness::Readiness;
use tokio::task::JoinSet;
use worker::audit_log::redis::RedisAuditLog;
use worker::audit_log::{AuditLog, AuditRecord};
use worker::verdict::Verdict;

/// How long to wait for an event, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn record(start_time_ns: i128) -> AuditRecord {
    AuditRecord {
        task_id: "task".to_owned(),
        start_time_ns,
        station_id: "5e3a0000-0000-4000-8000-000000000001".to_owned(),
        driver_token: "validDriverToken-0001".to_owned(),
        status: Verdict::Allowed,
        callback_status: "<Response [200]>".to_owned(),
        callback_url: "http://127.0.0.1/".to_owned(),
    }
}

fn audit_log(port: u16) -> (Arc<AuditLog>, Readiness) {
    let readiness = Readiness::new();
    let sink = RedisAuditLog::new("127.0.0.1", port).unwrap();
    (
        Arc::new(AuditLog::new(sink, readiness.part("audit log"))),
        readiness,
    )
}

async fn not_ready(readiness: &Readiness, reason: &str) {
    eventually("the audit log not to be ready", PATIENCE, || async {
        let missing = readiness.missing();
        let said = missing.get("audit log").cloned().unwrap_or_default();
        if said.contains(reason) {
            Ok(())
        } else {
            Err(format!("{missing:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn records_wait_for_a_redis_that_is_down() {
    let mut redis = harness::Redis::start().await;
    let (log, readiness) = audit_log(redis.port());
    readiness.ready().await;
    log.write(record(1)).await;

    redis.kill();
    let mut writing = JoinSet::new();
    for n in 2..=4 {
        let log = Arc::clone(&log);
        writing.spawn(async move { log.write(record(n)).await });
    }
    not_ready(&readiness, "cannot write to the audit log in Redis at 127.0.0.1:").await;
    assert_eq!(writing.len(), 3);

    redis.start_again().await;
    tokio::time::timeout(PATIENCE, async { while writing.join_next().await.is_some() {} })
        .await
        .unwrap();
    assert_eq!(redis.audit_records().await.len(), 3);
    tokio::time::timeout(PATIENCE, readiness.ready()).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_start_is_waited_for() {
    let mut redis = harness::Redis::start().await;
    redis.stop().await;
    let (_log, readiness) = audit_log(redis.port());
    not_ready(&readiness, "onnection refused").await;
    redis.start_again().await;
    tokio::time::timeout(PATIENCE, readiness.ready()).await.unwrap();
}

#[tokio::test]
async fn a_frozen_redis_makes_one_record_of_many_attempts() {
    let redis = harness::Redis::start().await;
    let (log, readiness) = audit_log(redis.port());
    readiness.ready().await;
    redis.freeze();
    let mut writing = JoinSet::new();
    writing.spawn({
        let log = Arc::clone(&log);
        async move { log.write(record(1)).await }
    });
    not_ready(&readiness, "timed out").await;
    redis.thaw();
    tokio::time::timeout(PATIENCE, writing.join_next()).await.unwrap();
    assert_eq!(redis.audit_records().await.len(), 1);
}

#[tokio::test]
async fn a_line_that_was_cut_without_a_word_is_given_up() {
    let redis = harness::Redis::start().await;
    let proxy = harness::Proxy::start(format!("127.0.0.1:{}", redis.port())).await;
    let (log, readiness) = audit_log(proxy.port());
    readiness.ready().await;
    log.write(record(1)).await;

    proxy.silence();
    let mut writing = JoinSet::new();
    writing.spawn(async move { log.write(record(2)).await });
    not_ready(&readiness, "cannot write to the audit log in Redis at 127.0.0.1:").await;
    proxy.restore();
    tokio::time::timeout(PATIENCE, async { while writing.join_next().await.is_some() {} })
        .await
        .unwrap();
    assert_eq!(redis.audit_records().await.len(), 2);
}

#[tokio::test]
async fn a_redis_that_refuses_writes_is_an_outage() {
    let trouble = [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "read only replica"),
    ];
    let redis = harness::Redis::start().await;
    let mut connection = redis.connection().await;
    for (n, (begin, end, reason)) in (1..).zip(trouble) {
        let (log, readiness) = audit_log(redis.port());
        readiness.ready().await;
        command(&mut connection, begin).await;
        let mut writing = JoinSet::new();
        writing.spawn(async move { log.write(record(n)).await });
        not_ready(&readiness, reason).await;
        command(&mut connection, end).await;
        tokio::time::timeout(PATIENCE, writing.join_next()).await.unwrap();
        tokio::time::timeout(PATIENCE, readiness.ready()).await.unwrap();
        assert_eq!(i128::try_from(redis.audit_records().await.len()), Ok(n));
    }
}

#[tokio::test]
async fn a_connection_that_was_cut_is_made_again_and_one_without_password_goes_on() {
    let redis = harness::Redis::start().await;
    let (log, _) = audit_log(redis.port());
    log.write(record(1)).await;
    command(&mut redis.connection().await, "CLIENT KILL TYPE normal").await;
    log.write(record(2)).await;
    let mut connection = redis.connection().await;
    command(&mut connection, "CONFIG SET requirepass secret").await;
    log.write(record(3)).await;
    let mut open_again = redis::cmd("CONFIG");
    let _: () = open_again
        .arg(&["SET", "requirepass", ""])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(redis.audit_records().await.len(), 3);
}

async fn command(connection: &mut redis::aio::MultiplexedConnection, words: &str) {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    let _: redis::Value = command.query_async(connection).await.unwrap();
}

#[tokio::test]
async fn giving_up_leaves_nothing_behind() {
    let mut redis = harness::Redis::start().await;
    let (log, _) = audit_log(redis.port());
    redis.kill();
    assert!(
        tokio::time::timeout(Duration::from_millis(300), log.write(record(1)))
            .await
            .is_err()
    );
    redis.start_again().await;
    log.write(record(2)).await;
    assert_eq!(redis.audit_records().await.len(), 1);
}
