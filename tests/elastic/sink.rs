//! Tests of the documents: they are the same as Python's, and there is one for each task, whatever its id.

use std::collections::BTreeMap;

use harness::{Elasticsearch, python};
use serde_json::{Value, json};
use worker::audit_log::{AuditRecord, AuditSink as _, Fate};
use worker::verdict::Verdict;

use crate::records::{record, sink};

/// Opens Python's log, which creates the index or checks the existing one, and writes the records given as JSON. Python
/// waits 10 s for the index; a busy machine may need longer.
const PYTHON: &str = r"
import json, os
from authorization_worker.elasticsearch_log import ElasticsearchLog
from elastic_transport import ConnectionTimeout
for _ in range(5):
    try:
        log = ElasticsearchLog()
        break
    except ConnectionTimeout:
        pass
else:
    raise SystemExit('no index after five attempts')
for record in json.loads(os.environ['RECORDS']):
    log.write(record.pop('start_time_ns'), **record)
";

async fn python_writes(node: &Elasticsearch, records: &[AuditRecord]) {
    let records: Vec<Value> = records
        .iter()
        .map(|record| {
            json!({
                "start_time_ns": i64::try_from(record.start_time_ns).unwrap(),
                "station_id": record.station_id,
                "driver_token": record.driver_token,
                "status": record.status.as_str(),
                "callback_status": record.callback_status,
                "callback_url": record.callback_url,
            })
        })
        .collect();
    let records = Value::from(records).to_string();
    let variables = node.variables();
    let mut environment: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    environment.push(("RECORDS", &records));
    python::python(PYTHON, &environment).await;
}

/// Records of every kind, each with its own start time.
fn records() -> Vec<AuditRecord> {
    let start = 1_795_347_165_835_999_999;
    let verdicts = [
        Verdict::Allowed,
        Verdict::NotAllowed,
        Verdict::Invalid,
        Verdict::Unknown,
    ];
    let mut records: Vec<AuditRecord> = (0..)
        .zip(verdicts)
        .map(|(n, status)| AuditRecord {
            status,
            ..record(&format!("task-{n}"), start + n * 1_000_000)
        })
        .collect();
    records.push(AuditRecord {
        driver_token: "validDriverToken-0001é\u{1F600}\"\\\n\u{0}".to_owned(),
        ..record("task-odd", start + 10_000_000)
    });
    records.push(AuditRecord {
        callback_status: "Invalid callback URL".to_owned(),
        callback_url: String::new(),
        status: Verdict::Invalid,
        ..record("task-empty", start + 11_000_000)
    });
    records
}

#[tokio::test]
async fn documents_and_mapping_are_pythons() {
    let node = Elasticsearch::shared().await;
    python_writes(&node, &[]).await;
    let mapping_of_python = node.mapping().await;
    node.delete_index().await;

    let records = records();
    let fates = sink(&node).write(&records).await.unwrap();
    assert_eq!(fates, vec![Fate::Written; records.len()]);
    assert_eq!(node.mapping().await, mapping_of_python);

    // Python opens the index that we created.
    python_writes(&node, &records).await;
    assert_eq!(node.mapping().await, mapping_of_python);

    let mut by_start: BTreeMap<i64, Vec<harness::Document>> = BTreeMap::new();
    for document in node.documents().await {
        let start = document.source["start_time_ms"].as_i64().unwrap();
        by_start.entry(start).or_default().push(document);
    }
    assert_eq!(by_start.len(), records.len());
    for (record, documents) in records.iter().zip(by_start.values()) {
        let [one, other] = documents.as_slice() else {
            panic!("not two documents: {documents:?}")
        };
        assert_eq!(one.source, other.source);
        let ours = [one, other]
            .iter()
            .filter(|document| document.id == record.task_id)
            .count();
        assert_eq!(ours, 1, "{documents:?}");
    }
}

#[tokio::test]
async fn an_index_that_is_there_is_left_alone_and_one_that_vanishes_is_made_again() {
    let node = Elasticsearch::shared().await;
    let own = json!({"mappings": {"properties": {"extra": {"type": "keyword"}}}});
    node.request("PUT", "/log.authorize", Some(&own)).await;
    let sink = sink(&node);
    sink.check().await.unwrap();
    assert_eq!(node.mapping().await, own["mappings"]);

    node.delete_index().await;
    sink.check().await.unwrap();
    let mapping = node.mapping().await;
    assert_eq!(mapping["properties"]["station_id"], json!({"type": "text"}));
    assert_eq!(mapping["properties"]["start_time_ms"], json!({"type": "long"}));

    // The sink relies on its last check of the index for one second.
    sink.write(&[record("first", 1)]).await.unwrap();
    node.delete_index().await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    sink.write(&[record("second", 2)]).await.unwrap();
    assert_eq!(node.mapping().await, mapping);
}

#[tokio::test]
async fn two_workers_may_create_the_index_at_once() {
    let node = Elasticsearch::shared().await;
    for _ in 0..10 {
        node.delete_index().await;
        let (one, other) = (sink(&node), sink(&node));
        let (first, second) = tokio::join!(one.check(), other.check());
        first.unwrap();
        second.unwrap();
    }
}

#[tokio::test]
async fn a_task_has_one_document_however_often_it_is_written() {
    let node = Elasticsearch::shared().await;
    let first = sink(&node);
    let again = record("task", 2);
    let fates = first.write(&[record("task", 1), again.clone()]).await.unwrap();
    assert_eq!(fates, [Fate::Written, Fate::Written]);
    // This simulates another process after a crash.
    assert_eq!(sink(&node).write(&[again]).await.unwrap(), [Fate::Written]);
    let documents = node.documents().await;
    let [document] = documents.as_slice() else {
        panic!("{documents:?}")
    };
    assert_eq!(document.id, "task");
}

#[tokio::test]
async fn any_text_may_be_a_task_id() {
    let node = Elasticsearch::shared().await;
    let (longest, too_long) = ("é".repeat(256), "é".repeat(300));
    let ids = [
        "",
        " ",
        ".",
        "..",
        "_x",
        "a/b?c=d&e#f%20",
        "\u{0}\n\"\\\u{7f}",
        "\u{1F600}",
        &longest,
        &too_long,
        "",
    ];
    let records: Vec<AuditRecord> = (0..).zip(ids).map(|(n, id)| record(id, n * 1_000_000)).collect();
    let sink = sink(&node);
    // The records are written twice, but there is still only one document for each.
    for _ in 0..2 {
        assert_eq!(
            sink.write(&records).await.unwrap(),
            vec![Fate::Written; records.len()]
        );
    }
    let documents = node.documents().await;
    assert_eq!(documents.len(), records.len(), "{documents:?}");
    for (record, document) in records.iter().zip(&documents) {
        let named_by_task = (1..=512).contains(&record.task_id.len());
        assert_eq!(document.id == record.task_id, named_by_task, "{document:?}");
    }
}

#[tokio::test]
async fn more_than_one_request_holds_is_cut() {
    let node = Elasticsearch::shared().await;
    let records: Vec<AuditRecord> = (0..20)
        .map(|n| AuditRecord {
            callback_url: "x".repeat(1_000_000),
            ..record(&format!("task-{n}"), n)
        })
        .collect();
    let fates = sink(&node).write(&records).await.unwrap();
    assert_eq!(fates, vec![Fate::Written; 20]);
    assert_eq!(node.count().await, 20);
}
