//! Tests of the whole path of a request, with the worker as a process that logs to Elasticsearch.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use harness::{
    Broker, Elasticsearch, Process, Receiver, Reply, Service, Vhost, eventually, free_port, http, python,
};
use serde_json::json;

const WAIT: Duration = Duration::from_mins(1);
const TOKEN: &str = "validDriverToken-0001";

/// Starts our worker and waits until it consumes.
async fn rust_worker(broker_url: &str, acl_url: &str, node: &Elasticsearch) -> Process {
    let arguments = [
        "-A",
        "authorization_worker.tasks",
        "worker",
        "--loglevel=INFO",
        "--concurrency=2",
    ];
    let mut variables = vec![
        ("BROKER_URL", broker_url.to_owned()),
        ("AUTHORIZATION_SERVICE_URL", acl_url.to_owned()),
        // Elasticsearch takes precedence: there is no Redis at this address.
        ("REDIS_HOST", "192.0.2.1".to_owned()),
    ];
    variables.extend(node.variables());
    let worker = Process::spawn(env!("CARGO_BIN_EXE_test-worker"), arguments, variables);
    worker.wait_for_line(" ready.", WAIT).await;
    worker
}

async fn python_worker(broker_url: &str, acl_url: &str, node: &Elasticsearch) -> Process {
    let variables = node.variables();
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    // Forked processes share one TLS connection: if two use it at once, one record is lost and another is written twice.
    python::worker(broker_url, acl_url, None, &["--pool=threads"], &variables).await
}

async fn acl_service() -> Receiver {
    Receiver::start_with(|_| Reply::json(&json!({"authorized": true}))).await
}

/// Requests an authorization for this station.
async fn authorize(api: &Service, callbacks: &Receiver, station: &str) {
    let path = format!("/station/{station}/driver/{TOKEN}/authorize");
    let answer = http::get(&format!(
        "{}{path}?callback_url={}",
        api.url(),
        callbacks.url("/")
    ))
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn stations(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("5e3a0000-0000-4000-8000-{n:012}"))
        .collect()
}

#[tokio::test]
async fn python_and_rust_log_to_one_index_at_the_same_time() {
    let node = Elasticsearch::shared().await;
    let vhost = Broker::shared().await.vhost("one-index").await;
    let (acl, callbacks) = (acl_service().await, Receiver::start().await);
    let broker_url = vhost.amqp_url();
    let api = python::public_api(free_port(), &broker_url, &[("AUTHORIZATION_TIMEOUT_SEC", "60")]).await;
    // Python's worker starts first because it exits if another process creates the index at the same moment.
    let _theirs = python_worker(&broker_url, &acl.url(""), &node).await;
    let ours = rust_worker(&broker_url, &acl.url(""), &node).await;

    let stations = stations(60);
    for station in &stations {
        authorize(&api, &callbacks, station).await;
    }
    callbacks.wait_for(stations.len(), WAIT).await;
    let documents = eventually("a document for each request", WAIT, || async {
        let documents = node.documents().await;
        let logged: BTreeSet<&str> = documents
            .iter()
            .map(|document| document.source["station_id"].as_str().unwrap())
            .collect();
        match logged.len() {
            count if count == stations.len() => Ok(documents),
            other => Err(format!("{other} stations in {} documents", documents.len())),
        }
    })
    .await;
    assert_eq!(documents.len(), stations.len(), "{documents:#?}");
    // A task's id has 36 characters, and an id that Elasticsearch generates has 20.
    let by_rust = documents
        .iter()
        .filter(|document| document.id.len() == 36)
        .count();
    println!("{} documents, {by_rust} of them ours", documents.len());
    assert!(0 < by_rust && by_rust < stations.len(), "{by_rust} are ours");
    for document in &documents {
        let mut fields = document.source.clone();
        let start = fields["start_time_ms"].take();
        assert!(
            start.as_i64().is_some_and(|start| start > 1_700_000_000_000),
            "{start}"
        );
        let expected = json!({
            "station_id": fields["station_id"],
            "driver_token": TOKEN,
            "status": "allowed",
            "callback_status": "<Response [200]>",
            "callback_url": callbacks.url("/"),
            "start_time_ms": null,
        });
        assert_eq!(fields, expected);
    }
    assert!(!ours.lines().concat().contains(Elasticsearch::PASSWORD));
}

#[tokio::test]
async fn a_worker_starts_and_works_without_its_elasticsearch() {
    let mut node = Elasticsearch::shared().await;
    let vhost = Broker::shared().await.vhost("late-log").await;
    let (acl, callbacks) = (acl_service().await, Receiver::start().await);
    let broker_url = vhost.amqp_url();
    let api = python::public_api(free_port(), &broker_url, &[("AUTHORIZATION_TIMEOUT_SEC", "60")]).await;
    node.stop_proxy();
    let ours = rust_worker(&broker_url, &acl.url(""), &node).await;
    ours.wait_for_line("cannot write to the audit log in Elasticsearch at ", WAIT)
        .await;

    let stations = stations(1);
    authorize(&api, &callbacks, &stations[0]).await;
    callbacks.wait_for(1, WAIT).await;
    node.start_again().await;
    let documents = eventually("the document", WAIT, || async {
        let documents = node.documents().await;
        if documents.is_empty() {
            return Err("none".to_owned());
        }
        Ok(documents)
    })
    .await;
    assert_eq!(documents.len(), 1);
    ours.wait_for_line("the audit log accepts records again", WAIT)
        .await;
    assert!(!ours.lines().concat().contains(Elasticsearch::PASSWORD));
}

#[tokio::test]
async fn what_a_worker_does_during_an_outage_is_logged_after_it() {
    let mut node = Elasticsearch::shared().await;
    let vhost = Broker::shared().await.vhost("outage").await;
    let (acl, callbacks) = (acl_service().await, Receiver::start().await);
    let ours = rust_worker(&vhost.amqp_url(), &acl.url(""), &node).await;
    let tasks: Vec<String> = (0..22)
        .map(|n| format!("{n:08}-task-4000-8000-000000000000"))
        .collect();

    send(&vhost, &callbacks, &tasks[..1]).await;
    documents_are(&node, &tasks[..1]).await;

    node.stop().await;
    send(&vhost, &callbacks, &tasks[1..21]).await;
    eventually("all messages to be acked", WAIT, || async {
        let depth = vhost.queue("celery").await;
        if callbacks.count() >= 21 && depth.ready + depth.unacked == 0 {
            Ok(())
        } else {
            Err(format!("{depth:?}, {} callbacks", callbacks.count()))
        }
    })
    .await;
    ours.wait_for_line("records go to the spool", WAIT).await;

    node.start_again().await;
    documents_are(&node, &tasks[..21]).await;
    ours.wait_for_line("the audit log accepts records again", WAIT)
        .await;
    send(&vhost, &callbacks, &tasks[21..]).await;
    documents_are(&node, &tasks).await;
    assert_eq!(callbacks.count(), tasks.len());
    assert!(!ours.lines().concat().contains(Elasticsearch::PASSWORD));
}

/// Sends a task for each of these ids.
async fn send(vhost: &Vhost, callbacks: &Receiver, ids: &[String]) {
    for id in ids {
        let properties = json!({
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "headers": {"task": "authorization_worker.tasks.authorize", "id": id, "lang": "py"},
        });
        let station = "5e3a0000-0000-4000-8000-000000000000";
        let arguments = json!([station, TOKEN, callbacks.url("/"), i64::MAX]);
        let body = json!([arguments, {}, null]).to_string();
        vhost.publish("", "celery", &properties, body.as_bytes()).await;
    }
}

/// Waits until the audit log holds a document for each of these tasks, and no others.
async fn documents_are(node: &Elasticsearch, tasks: &[String]) {
    eventually("a document for each task", WAIT, || async {
        let documents = node.documents().await;
        let mut ids: Vec<String> = documents.into_iter().map(|document| document.id).collect();
        ids.sort();
        if ids == tasks {
            Ok(())
        } else {
            Err(format!("{ids:?}"))
        }
    })
    .await;
}
