//! Failures of Elasticsearch: a real node, behind TLS.

use std::time::Duration;

use harness::{Elasticsearch, Proxy, Receiver, Reply};
use serde_json::json;
use tokio::time::sleep;

use crate::ledger::Figures;
use crate::rig::{AuditLog, Plan, Rig};

const LONG: Duration = Duration::from_secs(8);

fn plan(log: AuditLog) -> Plan {
    Plan {
        log,
        ..Plan::default()
    }
}

/// Asserts that callers notice nothing.
fn is_unnoticed(figures: &Figures) {
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn down() {
    let mut node = Elasticsearch::shared().await;
    let mut rig = Rig::shared(plan(AuditLog::elasticsearch(&node))).await;
    rig.calm().await;
    node.stop().await;
    sleep(LONG).await;
    node.start_again().await;
    rig.over();
    is_unnoticed(&rig.settle("Elasticsearch: down (its proxy answers 502)").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed() {
    let mut node = Elasticsearch::shared().await;
    let mut rig = Rig::shared(plan(AuditLog::elasticsearch(&node))).await;
    rig.calm().await;
    node.stop_proxy();
    node.kill();
    sleep(LONG).await;
    node.start_again().await;
    rig.over();
    is_unnoticed(&rig.settle("Elasticsearch: kill -9, connections refused").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow() {
    let node = Elasticsearch::shared().await;
    let proxy = Proxy::start(format!("127.0.0.1:{}", node.port())).await;
    let mut variables = node.variables().to_vec();
    variables[0].1 = format!("https://127.0.0.1:{}", proxy.port());
    let log = AuditLog::Elasticsearch(variables, node.node_address());
    let mut rig = Rig::shared(plan(log)).await;
    rig.calm().await;
    proxy.slow_down(Duration::from_secs(2));
    sleep(LONG).await;
    proxy.restore();
    rig.over();
    is_unnoticed(&rig.settle("Elasticsearch: slow (2 s) for 8 s").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests() {
    let node = Elasticsearch::shared().await;
    let busy = Receiver::start_with(|_| {
        let reason = json!({"type": "es_rejected_execution_exception", "reason": "rejected execution"});
        let Reply::Answer(_, headers, body) = Reply::json(&json!({"error": reason, "status": 429})) else {
            unreachable!()
        };
        Reply::Answer(429, headers, body)
    })
    .await;
    let proxy = Proxy::start(node.node_address()).await;
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let variables = vec![
        ("ELASTICSEARCH_URL", url),
        ("ELASTIC_PASSWORD", Elasticsearch::PASSWORD.to_owned()),
    ];
    let mut rig = Rig::shared(plan(AuditLog::Elasticsearch(variables, node.node_address()))).await;
    rig.calm().await;
    proxy.lead_to(format!("127.0.0.1:{}", busy.port()));
    sleep(LONG).await;
    proxy.lead_to(node.node_address());
    rig.over();
    assert!(busy.count() > 0);
    is_unnoticed(&rig.settle("Elasticsearch: 429 for 8 s").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only() {
    let node = Elasticsearch::shared().await;
    let mut rig = Rig::shared(plan(AuditLog::elasticsearch(&node))).await;
    rig.calm().await;
    node.set_read_only(true).await;
    sleep(LONG).await;
    node.set_read_only(false).await;
    rig.over();
    is_unnoticed(&rig.settle("Elasticsearch: read-only index for 8 s").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_full() {
    let node = Elasticsearch::shared().await;
    let mut rig = Rig::shared(plan(AuditLog::elasticsearch(&node))).await;
    rig.calm().await;
    node.set_disk_full(true).await;
    sleep(LONG).await;
    node.set_disk_full(false).await;
    rig.over();
    is_unnoticed(&rig.settle("Elasticsearch: disk full for 8 s (index block)").await);
}
