//! elastic-requests.jsonl: the requests of Python to Elasticsearch, at its start and for each record, compared with
//! ours.

mod run_time;
mod settings;
mod start_up;

use std::fmt::Write as _;

use harness::{Books, Received, Receiver, Reply, adr};
use serde_json::{Value, json};
use worker::audit_log::AuditRecord;
use worker::audit_log::elasticsearch::ElasticsearchAuditLog;
use worker::audit_log::elasticsearch::config::ElasticsearchConfig;
use worker::verdict::Verdict;

use crate::corpus::{self, text};

const FILE: &str = "elastic-requests.jsonl";

#[tokio::test]
async fn requests_are_pythons() {
    let rows = corpus::read(FILE);
    let mut books = Books::default();
    for row in &rows {
        match text(row, "case") {
            "run-time" => run_time::trouble(&mut books, row).await,
            "run-time-server-gone" => run_time::server_gone(&mut books, row).await,
            "direct-calls" => run_time::documents(&mut books, row).await,
            "forked-connection" => run_time::many(&mut books, row).await,
            case if case.starts_with("tls-") => settings::tls(&mut books, row).await,
            case if case.starts_with("start-") || case.ends_with("-index") => {
                start_up::start(&mut books, row).await;
            }
            _ => settings::read(&mut books, row).await,
        }
    }
    books.close(FILE, rows.len());
}

/// Returns a sink for this URL with the recorded password.
fn sink(url: &str) -> ElasticsearchAuditLog {
    let config = ElasticsearchConfig {
        url: url.parse().unwrap(),
        password: "shiboleth".to_owned().into(),
        ca: None,
    };
    ElasticsearchAuditLog::new(&config).unwrap()
}

/// Returns an answer with Elasticsearch's headers.
fn answer(status: u16, body: &Value) -> Reply {
    let headers = [
        ("X-Elastic-Product", "Elasticsearch"),
        (
            "Content-Type",
            "application/vnd.elasticsearch+json;compatible-with=8",
        ),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Reply::Answer(status, headers.into(), body.to_string().into_bytes())
}

fn error(status: u16, kind: &str) -> Reply {
    answer(
        status,
        &json!({"error": {"type": kind, "reason": "why"}, "status": status}),
    )
}

/// Returns the answer to a `_bulk` request in which each item has this status and error.
fn items(request: &Received, status: u16, kind: Option<&str>) -> Reply {
    let lines = request
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    let error = kind.map(|kind| json!({"type": kind, "reason": "why"}));
    let item = json!({"create": {"_id": "x", "status": status, "error": error}});
    answer(
        200,
        &json!({"errors": kind.is_some(), "items": vec![item; lines / 2]}),
    )
}

/// Returns the answer of a healthy Elasticsearch; `has_index` is whether the index exists.
fn healthy(request: &Received, has_index: bool) -> Reply {
    match (request.method.as_str(), request.path()) {
        ("HEAD", "/log.authorize") => answer(if has_index { 200 } else { 404 }, &json!({})),
        ("POST", "/log.authorize/_bulk") => items(request, 201, None),
        _ => answer(200, &json!({"acknowledged": true})),
    }
}

/// Returns the text by which both sides are compared: method and path, JSON in the order of its names, and the headers
/// that matter.
fn shown(request_line: &str, headers: &[(String, String)], body: &str) -> String {
    let request = request_line.trim_end_matches(" HTTP/1.1");
    let header = |wanted: &str| {
        let mut found = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.next().map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let mut shown = format!(
        "{request} {} accept {}",
        header("authorization"),
        header("accept")
    );
    if !body.is_empty() {
        let body: Value = serde_json::from_str(body).unwrap();
        let _ = write!(shown, " content-type {} {body}", header("content-type"));
    }
    shown
}

/// Returns Python's requests at a start, without the immediate repetitions of some.
fn recorded_start(row: &Value) -> Vec<String> {
    let mut requests: Vec<String> = row["startup_requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            let headers: Vec<(String, String)> = request["headers"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|line| line.as_str()?.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            shown(text(request, "request_line"), &headers, text(request, "body"))
        })
        .collect();
    requests.dedup();
    requests
}

/// Returns our requests so far, except `_bulk`.
fn our_start(server: &Receiver) -> Vec<String> {
    let ours = server.requests();
    ours.iter()
        .filter(|request| !request.path().ends_with("/_bulk"))
        .map(|request| {
            let line = format!("{} {}", request.method, request.target);
            shown(&line, &request.headers, &String::from_utf8_lossy(&request.body))
        })
        .collect()
}

/// Returns the documents that we sent, byte for byte; each follows its action.
fn our_documents(server: &Receiver) -> Vec<String> {
    let bulk = server
        .requests()
        .into_iter()
        .filter(|request| request.path().ends_with("/_bulk"));
    bulk.flat_map(|request| {
        let body = String::from_utf8(request.body).unwrap();
        body.lines()
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    })
    .collect()
}

/// Returns the record for one of Python's documents, with its texts as formatted by Python's `str()`.
fn record(task_id: &str, document: &Value) -> AuditRecord {
    let field = |name: &str| match &document[name] {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Array(_) => "['a']".to_owned(),
        Value::Object(_) => "{'a': 1}".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    AuditRecord {
        task_id: task_id.to_owned(),
        start_time_ns: i128::from(document["start_time_ms"].as_i64().unwrap()) * 1_000_000,
        station_id: field("station_id"),
        driver_token: field("driver_token"),
        status: verdict(&field("status")),
        callback_status: field("callback_status"),
        callback_url: field("callback_url"),
    }
}

fn verdict(status: &str) -> Verdict {
    let verdicts = [
        Verdict::Allowed,
        Verdict::NotAllowed,
        Verdict::Invalid,
        Verdict::Unknown,
    ];
    verdicts
        .into_iter()
        .find(|verdict| verdict.as_str() == status)
        .unwrap()
}

/// Returns the documents that Python sent for a row, with the names of their entries.
fn recorded_documents(row: &Value) -> Vec<(&str, &str)> {
    let entries = row["entries"].as_array();
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let body = entry["es_requests"][0]["body"].as_str()?;
            Some((text(entry, "entry"), body))
        })
        .collect()
}
