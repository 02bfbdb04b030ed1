//! The audit log as a test reads it, even while it is down.

use std::collections::HashMap;

use harness::{AuditKeys, http};
use serde_json::json;
use uuid::Uuid;

/// The place where records are read.
#[derive(Debug, Clone)]
pub(crate) enum Log {
    Redis(AuditKeys),
    /// The address of the node itself.
    Elasticsearch(String),
}

/// More records than any row writes. Without it, a search stops at 10,000.
const MOST: u32 = 500_000;

impl Log {
    /// The number of records for each station, or `None` if the log does not answer.
    pub(crate) async fn stations(&self) -> Option<HashMap<Uuid, usize>> {
        let stations: Vec<String> = match self {
            Self::Redis(keys) => {
                // log:authorize:<start>:<station>:<token>
                let keys = keys.list().await?;
                keys.iter()
                    .filter_map(|key| key.split(':').nth(3).map(str::to_owned))
                    .collect()
            }
            Self::Elasticsearch(node) => Self::search(node).await?,
        };
        let mut counts = HashMap::new();
        for station in stations.iter().filter_map(|station| station.parse().ok()) {
            *counts.entry(station).or_default() += 1;
        }
        Some(counts)
    }

    async fn search(node: &str) -> Option<Vec<String>> {
        let send = async |method: &str, path: &str, body: String| {
            let url = format!("http://{node}/log.authorize/{path}");
            let headers = [("content-type", "application/json")];
            let sent = http::try_send(method, &url, &headers, body);
            let answer = tokio::time::timeout(std::time::Duration::from_secs(5), sent)
                .await
                .ok()?
                .ok()?;
            (answer.status == 200).then_some(answer)
        };
        let query = json!({"size": MOST, "_source": ["station_id"]}).to_string();
        send("POST", "_refresh", String::new()).await?;
        let answer = match send("POST", "_search", query.clone()).await {
            Some(answer) => answer,
            None => {
                let settings = json!({"index.max_result_window": MOST});
                send("PUT", "_settings", settings.to_string()).await?;
                send("POST", "_search", query).await?
            }
        };
        let answer = answer.json();
        let hits = answer["hits"]["hits"].as_array()?;
        Some(
            hits.iter()
                .filter_map(|hit| hit["_source"]["station_id"].as_str().map(str::to_owned))
                .collect(),
        )
    }
}
