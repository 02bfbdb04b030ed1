//! Tests of Elasticsearch failures: records that may succeed later are deferred, those that never will are
//! refused, and no secret is revealed.

use std::error::Error;
use std::time::Duration;

use harness::{Elasticsearch, eventually};
use serde_json::json;
use worker::audit_log::{AuditRecord, AuditSink as _, Fate};

use crate::records::{record, sink, sink_with};

const WAIT: Duration = Duration::from_secs(30);

/// The text of the error with its causes.
fn said(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let said = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(!said.contains(Elasticsearch::PASSWORD), "{said}");
    said
}

/// The reason given in the fate of the only record.
fn reason(fates: &[Fate], is_deferred: bool) -> String {
    match fates {
        [Fate::Deferred(reason)] if is_deferred => reason.clone(),
        [Fate::Refused(reason)] if !is_deferred => reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_of_another_ca_is_refused_and_one_of_another_name_is_not() {
    let node = Elasticsearch::shared().await;
    sink(&node).check().await.unwrap();
    for ca in [Some(node.other_ca()), None] {
        let sink = sink_with(&node, Elasticsearch::PASSWORD, ca.as_deref());
        let error = said(&sink.check().await.unwrap_err());
        assert!(error.contains("certificate verify failed"), "{error}");
        let error = said(&sink.write(&[record("task", 1)]).await.unwrap_err());
        assert!(error.contains(&node.url()), "{error}");
    }
    assert_eq!(node.count().await, 0);
}

#[tokio::test]
async fn a_wrong_password_is_an_outage_that_is_said() {
    let node = Elasticsearch::shared().await;
    let sink = sink_with(&node, "shiboleth", Some(&node.ca()));
    for error in [
        sink.check().await.unwrap_err(),
        sink.write(&[record("task", 1)]).await.unwrap_err(),
    ] {
        let error = said(&error);
        assert!(
            error.contains("password in ELASTIC_PASSWORD (status 401)"),
            "{error}"
        );
        assert!(!error.contains("shiboleth"), "{error}");
    }
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_refused_without_telling_its_token() {
    let node = Elasticsearch::shared().await;
    let mapping = json!({"mappings": {"properties": {"driver_token": {"type": "long"}}}});
    node.request("PUT", "/log.authorize", Some(&mapping)).await;
    let sink = sink(&node);
    let fits = AuditRecord {
        driver_token: "12345".to_owned(),
        ..record("fits", 1)
    };
    let fates = sink.write(&[record("unfit", 1), fits]).await.unwrap();
    let [unfit, fits] = fates.as_slice() else {
        panic!("{fates:?}")
    };
    let reason = reason(std::slice::from_ref(unfit), false);
    assert!(
        reason.contains("document_parsing_exception") && reason.contains("[driver_token] of type [long]"),
        "{reason}"
    );
    assert!(!reason.contains("validDriverToken"), "{reason}");
    assert_eq!(fits, &Fate::Written);
}

#[tokio::test]
async fn a_full_disk_and_a_read_only_index_defer() {
    let node = Elasticsearch::shared().await;
    let sink = sink(&node);
    let record = [record("task", 1)];
    sink.check().await.unwrap();

    node.set_disk_full(true).await;
    let full = reason(&sink.write(&record).await.unwrap(), true);
    assert!(full.contains("status 429: cluster_block_exception"), "{full}");
    node.set_disk_full(false).await;

    node.set_read_only(true).await;
    let read_only = reason(&sink.write(&record).await.unwrap(), true);
    assert!(
        read_only.contains("status 403: cluster_block_exception"),
        "{read_only}"
    );
    node.set_read_only(false).await;

    assert_eq!(sink.write(&record).await.unwrap(), [Fate::Written]);
    assert_eq!(node.count().await, 1);
}

#[tokio::test]
async fn overload_is_an_outage_and_too_large_a_record_is_refused() {
    let mut node = Elasticsearch::shared().await;
    node.stop().await;
    node.start_again_with(&[
        "indexing_pressure.memory.limit=2kb",
        "http.max_content_length=1mb",
    ])
    .await;
    let sink = sink(&node);
    let large = |length| AuditRecord {
        callback_url: "x".repeat(length),
        ..record("large", 1)
    };
    let busy = said(&sink.write(&[large(4096)]).await.unwrap_err());
    assert!(
        busy.contains("status 429: es_rejected_execution_exception"),
        "{busy}"
    );

    // The oversized record is identified among the others.
    let records = [record("before", 1), large(2_000_000), record("after", 2)];
    let fates = sink.write(&records).await.unwrap();
    let [Fate::Written, Fate::Refused(reason), Fate::Written] = fates.as_slice() else {
        panic!("{fates:?}")
    };
    assert!(reason.contains("status 413"), "{reason}");
    assert_eq!(node.count().await, 2);
}

#[tokio::test]
async fn a_node_that_is_away_is_an_outage_and_is_found_again() {
    let mut node = Elasticsearch::shared().await;
    let sink = sink(&node);
    assert_eq!(sink.write(&[record("before", 1)]).await.unwrap(), [Fate::Written]);

    node.stop().await;
    let stopped = said(&sink.write(&[record("during", 2)]).await.unwrap_err());
    assert!(stopped.contains("status 502"), "{stopped}");
    node.stop_proxy();
    // The first failure may come from a connection opened earlier.
    eventually("connections to be refused", WAIT, || async {
        let refused = said(&sink.write(&[record("during", 2)]).await.unwrap_err());
        if refused.contains("Connection refused") {
            Ok(())
        } else {
            Err(refused)
        }
    })
    .await;

    node.start_again().await;
    assert_eq!(sink.write(&[record("during", 2)]).await.unwrap(), [Fate::Written]);

    node.freeze();
    let silent = said(&sink.write(&[record("silent", 3)]).await.unwrap_err());
    assert!(silent.contains("no answer within 10 s"), "{silent}");
    node.thaw();
    assert_eq!(sink.write(&[record("silent", 3)]).await.unwrap(), [Fate::Written]);
    assert_eq!(node.count().await, 3);
}
