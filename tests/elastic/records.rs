//! Audit records, and sinks for the test node.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

use std::path::Path;

use harness::Elasticsearch;
use worker::audit_log::AuditRecord;
use worker::audit_log::elasticsearch::ElasticsearchAuditLog;
use worker::audit_log::elasticsearch::config::ElasticsearchConfig;
use worker::verdict::Verdict;

/// A record with this task id and start time.
pub(crate) fn record(task_id: &str, start_time_ns: i128) -> AuditRecord {
    AuditRecord {
        task_id: task_id.to_owned(),
        start_time_ns,
        station_id: "5e3a0000-0000-4000-8000-000000000001".to_owned(),
        driver_token: "validDriverToken-0001".to_owned(),
        status: Verdict::Allowed,
        callback_status: "<Response [200]>".to_owned(),
        callback_url: "http://127.0.0.1:9000/callback".to_owned(),
    }
}

/// A sink as a worker creates it from [`Elasticsearch::variables`].
pub(crate) fn sink(node: &Elasticsearch) -> ElasticsearchAuditLog {
    sink_with(node, Elasticsearch::PASSWORD, Some(&node.ca()))
}

pub(crate) fn sink_with(node: &Elasticsearch, password: &str, ca: Option<&Path>) -> ElasticsearchAuditLog {
    let config = ElasticsearchConfig {
        url: node.url().parse().unwrap(),
        password: password.to_owned().into(),
        ca: ca.map(|ca| std::fs::read(ca).unwrap()),
    };
    ElasticsearchAuditLog::new(&config).unwrap()
}
