//! Connections cut without a FIN: bytes are swallowed in both directions and neither side notices. New
//! connections get through once the fault is over; existing ones stay cut.

use std::time::Duration;

use harness::{Broker, Elasticsearch, Proxy, Redis};
use tokio::time::sleep;

use crate::ledger::Figures;
use crate::rig::{AuditLog, Plan, Rig};

async fn cut(fault: &str, proxy: Proxy, mut rig: Rig, seconds: u64) -> Figures {
    rig.calm().await;
    proxy.silence();
    sleep(Duration::from_secs(seconds)).await;
    proxy.restore();
    rig.over();
    rig.settle(fault).await
}

#[tokio::test(flavor = "multi_thread")]
async fn public_api_and_rabbitmq() {
    let vhost = Broker::shared().await.vhost("fault").await;
    let proxy = Proxy::start(vhost.address()).await;
    let plan = Plan {
        api_broker: Some(proxy.port()),
        ..Plan::default()
    };
    let rig = Rig::start(vhost, plan).await;
    let figures = cut(
        "network: public-api – RabbitMQ cut for 10 s, no FIN",
        proxy,
        rig,
        10,
    )
    .await;
    assert!(figures.refused > 1000, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_and_rabbitmq() {
    let vhost = Broker::shared().await.vhost("fault").await;
    let proxy = Proxy::start(vhost.address()).await;
    let plan = Plan {
        worker_broker: Some(proxy.port()),
        ..Plan::default()
    };
    let rig = Rig::start(vhost, plan).await;
    let figures = cut("network: worker – RabbitMQ cut for 10 s, no FIN", proxy, rig, 10).await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_and_acl_service() {
    let proxy = Proxy::start("127.0.0.1:9").await;
    let plan = Plan {
        acl_url: Some(format!("http://127.0.0.1:{}", proxy.port())),
        authorization_timeout: 3,
        concurrency: 1000,
        ..Plan::default()
    };
    let rig = Rig::shared(plan).await;
    proxy.lead_to(rig.acl.address());
    let figures = cut("network: worker – ACL service cut for 8 s, no FIN", proxy, rig, 8).await;
    assert!(figures.statuses["unknown"] > 100, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_and_redis() {
    let redis = Redis::start_durable().await;
    let proxy = Proxy::start(format!("127.0.0.1:{}", redis.port())).await;
    let plan = Plan {
        log: AuditLog::RedisAt(proxy.port(), redis),
        ..Plan::default()
    };
    let rig = Rig::shared(plan).await;
    let figures = cut(
        "network: worker – Redis of the log cut for 10 s, no FIN",
        proxy,
        rig,
        10,
    )
    .await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_and_elasticsearch() {
    let node = Elasticsearch::shared().await;
    let proxy = Proxy::start(format!("127.0.0.1:{}", node.port())).await;
    let mut variables = node.variables().to_vec();
    variables[0].1 = format!("https://127.0.0.1:{}", proxy.port());
    let plan = Plan {
        log: AuditLog::Elasticsearch(variables, node.node_address()),
        ..Plan::default()
    };
    let rig = Rig::shared(plan).await;
    let figures = cut(
        "network: worker – Elasticsearch cut for 10 s, no FIN",
        proxy,
        rig,
        10,
    )
    .await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}
