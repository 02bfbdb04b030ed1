//! Tests of the private Redis server, used as other tests use it.

use std::time::Duration;

use harness::Redis;
use redis::AsyncCommands as _;

#[tokio::test]
async fn reads_the_audit_records_in_order() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    for (key, status) in [
        ("log:authorize:2:s:t", "unknown"),
        ("log:authorize:1:s:t", "allowed"),
    ] {
        let _: () = connection.hset(key, "status", status).await.unwrap();
    }
    let _: () = connection.set("other", 1).await.unwrap();
    let records = redis.audit_records().await;
    assert_eq!(
        records
            .iter()
            .map(|record| record.field("status"))
            .collect::<Vec<_>>(),
        ["allowed", "unknown"]
    );
}

#[tokio::test]
async fn freezes_and_thaws() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    redis.freeze();
    let ping = connection.ping::<String>();
    assert!(
        tokio::time::timeout(Duration::from_millis(200), ping)
            .await
            .is_err()
    );
    redis.thaw();
    let _: String = redis.connection().await.ping().await.unwrap();
}

#[tokio::test]
async fn comes_back_on_the_same_port() {
    let mut redis = Redis::start_durable().await;
    let _: () = redis.connection().await.set("key", "value").await.unwrap();
    redis.kill();
    assert!(redis.client().get_multiplexed_async_connection().await.is_err());
    redis.start_again().await;
    let value: String = redis.connection().await.get("key").await.unwrap();
    assert_eq!(value, "value");
    redis.stop().await;
}
