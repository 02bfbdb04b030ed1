//! Compares the twins with the recorded answers of the reference.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Broker, Process, Receiver, Redis, eventually, free_port, http, python};
use serde_json::Value;

const SOON: Duration = Duration::from_mins(1);

/// The port of the callback server when the rows were recorded.
const RECORDED_PORT: &str = "21001";

/// The two tokens that are allowed for the recorded stations.
const ALLOWED: [&str; 2] = ["validDriverToken-0001", "allowedVictimToken-42"];

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[tokio::test]
async fn the_twins_answer_as_recorded() {
    let vhost = Broker::shared().await.vhost("check").await;
    let redis = Redis::start().await;
    let (script, golden) = (
        project().join("python-compat/check.py"),
        project().join("tests/golden"),
    );
    let port = redis.port().to_string();
    let arguments = [script.display().to_string(), golden.display().to_string()];
    let url = vhost.amqp_url();
    let variables = [
        ("BROKER_URL", url.as_str()),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
    ];
    let check = python::spawn("python", &arguments.each_ref().map(String::as_str), &variables);
    let status = check.wait_exit(Duration::from_mins(15)).await;
    println!("{}", check.lines().join("\n"));
    assert!(status.success(), "{status}");
}

/// Sends every row of end-to-end.jsonl through the three Python processes, one row after another.
#[tokio::test]
async fn the_twins_together_do_as_recorded() {
    let vhost = Broker::shared().await.vhost("rows").await;
    let redis = Redis::start().await;
    let receiver = with_five_digits().await;
    let acl = python::acl_service(free_port(), &redis).await;
    let api = python::public_api(free_port(), &vhost.amqp_url(), &[]).await;
    let worker = python::worker(
        &vhost.amqp_url(),
        &acl.url(),
        Some(&redis),
        &["--concurrency=1"],
        &[],
    )
    .await;

    let file = fs::read_to_string(project().join("tests/golden/end-to-end.jsonl")).unwrap();
    let port = receiver.port().to_string();
    let file = file.replace(&format!(":{RECORDED_PORT}"), &format!(":{port}"));
    let mut ran = 0;
    for line in file.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let (case, request) = (&row["case"], whole_request(&row));
        let station = request.split('/').nth(2).unwrap();
        for token in ALLOWED {
            let allowed = http::put(&format!("{}/station/{station}/driver/{token}/acl", acl.url())).await;
            assert_eq!(allowed.status, 200, "{case}");
        }

        let answer = http::raw(&format!("127.0.0.1:{}", api.port), request.as_bytes())
            .await
            .unwrap();
        let status = format!("HTTP/1.1 {} ", row["http_status"]);
        assert!(
            answer.starts_with(status.as_bytes()),
            "{case}: {}",
            String::from_utf8_lossy(&answer)
        );

        let outcome = next_outcome(&worker, ran).await;
        let recorded = row["worker"].as_str().unwrap();
        let recorded = if recorded.starts_with("succeeded") {
            "succeeded in"
        } else {
            recorded.trim_end()
        };
        assert!(outcome.contains(recorded), "{case}: {outcome}");

        let callbacks = receiver.requests();
        let lines: Vec<String> = callbacks
            .iter()
            .map(|callback| format!("{} {} HTTP/1.1", callback.method, callback.target))
            .collect();
        assert_eq!(
            lines.first().map(String::as_str),
            row["callback_request_line"].as_str(),
            "{case}"
        );
        let verdict = callbacks.first().map(|callback| callback.field("status"));
        assert_eq!(verdict.as_deref(), row["callback_status_sent"].as_str(), "{case}");

        let records = redis.audit_records().await;
        let records: Vec<Value> = records
            .iter()
            .filter(|record| record.field("station_id") == station)
            .map(|record| serde_json::to_value(&record.fields).unwrap())
            .collect();
        assert_eq!(
            u64::try_from(records.len()).ok(),
            row["redis_records"].as_u64(),
            "{case}"
        );
        assert_eq!(
            records.first().unwrap_or(&Value::Null),
            &row["recorded"],
            "{case}"
        );
        receiver.clear();
        ran += 1;
    }
    println!("{ran} rows");
    assert_eq!(ran, 29);
}

/// A receiver whose port has as many digits as the recorded one, so that the lengths in the requests remain correct. Some
/// systems also assign shorter ports.
async fn with_five_digits() -> Receiver {
    let mut others = Vec::new();
    loop {
        let receiver = Receiver::start().await;
        if receiver.port().to_string().len() == RECORDED_PORT.len() {
            return receiver;
        }
        others.push(receiver);
        assert!(others.len() < 1000, "no port of five digits");
    }
}

/// The request of a row. One body is truncated in the recording; its URL is found in the audit record.
fn whole_request(row: &Value) -> String {
    let request = row["request"].as_str().unwrap_or_default();
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        panic!("no head: {row}")
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap_or(0));
    if body.len() == length {
        return request.to_owned();
    }
    let escaped = row["recorded"]["callback_url"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .fold(String::new(), |text, character| {
            if character.is_ascii() {
                text + &character.to_string()
            } else {
                text + &format!("\\u{:04x}", u32::from(character))
            }
        });
    let body = format!("{{\"callback_url\": \"{escaped}\"}}");
    assert_eq!(body.len(), length, "{}", row["case"]);
    format!("{head}\r\n\r\n{body}")
}

/// The worker's log line about the outcome of the next task, after `count` earlier ones.
async fn next_outcome(worker: &Process, count: usize) -> String {
    const OUTCOMES: [&str; 3] = ["succeeded in", "raised unexpected", "Can't decode message body"];
    eventually("the outcome of the task", SOON, || async {
        let lines = worker.lines();
        let mut outcomes = lines
            .iter()
            .filter(|line| OUTCOMES.iter().any(|outcome| line.contains(outcome)));
        outcomes.nth(count).cloned().ok_or_else(|| worker.tail())
    })
    .await
}
