//! Every recorded request to the Python service, sent to ours on a real Redis.

use std::collections::BTreeSet;

use harness::recorded::{self, Answer, STATION};
use harness::{Books, Decision, Redis, adr};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::redis_tap::{RedisTap, commands};
use crate::running::Running;

/// The reason why an answer differs from the recorded one.
#[derive(Debug, Clone, Copy)]
enum Deviation {
    /// Errors are JSON; status and `Allow` are Python's.
    ErrorInJson,
    /// GET answers `allowed` and `authorized`, as booleans.
    BothNames,
    /// HEAD answers like GET; in Python it fails.
    Head,
    /// Raw UTF-8 in the path is UTF-8, not Latin-1.
    RawUtf8,
    /// A token over 16 KiB is refused.
    LongToken,
    /// A request that is not HTTP gets an HTTP answer.
    NotHttp,
}

impl Deviation {
    fn decision(self) -> Decision {
        match self {
            Self::ErrorInJson => adr(19, "errors are JSON"),
            Self::BothNames => adr(17, "GET answers `allowed` and `authorized`, as booleans"),
            Self::Head => adr(20, "HEAD answers like GET"),
            Self::RawUtf8 => adr(21, "raw UTF-8 in the path is UTF-8"),
            Self::LongToken => adr(22, "a token has at most 16 KiB"),
            Self::NotHttp => adr(36, "a request that is not HTTP gets an HTTP answer"),
        }
    }
}

/// The decision for the rows of outage.rs.
const REDIS_AWAY: Decision = adr(24, "503 within a second instead of 500 after up to 59 s");

/// Every deviation except `BothNames`, which every successful GET shows.
const DEVIATIONS: &[(Deviation, &[&str])] = &[
    (Deviation::ErrorInJson, ERROR_IN_JSON),
    (Deviation::Head, &["method-HEAD"]),
    (Deviation::RawUtf8, &["token-raw-utf8-put", "token-raw-utf8-get"]),
    (Deviation::LongToken, &["token-60000-put", "token-60000-get"]),
    (Deviation::NotHttp, &["proto-garbage"]),
];

const ERROR_IN_JSON: &[&str] = &[
    "method-POST",
    "method-PATCH",
    "method-TRACE",
    "method-CONNECT",
    "method-FOO",
    "method-PROPFIND",
    "post-override",
    "station-no-dashes",
    "station-braces",
    "station-urn",
    "station-short",
    "station-long",
    "station-bad",
    "station-empty",
    "station-newline",
    "station-fullwidth",
    "token-empty-put",
    "token-empty-get",
    "token-slash-put",
    "token-slash-get",
    "path-root-GET",
    "path-trailing-slash-GET",
    "path-trailing-slash-PUT",
    "path-trailing-slash-DELETE",
    "path-case-GET",
    "path-authorize-GET",
    "path-extra-GET",
    "path-list-GET",
    "path-dot-segments-GET",
    "path-static-GET",
    "wrongtype-get",
    "wrongtype-put",
    "wrongtype-delete",
];

#[tokio::test]
async fn every_recorded_request() {
    let redis = Redis::start().await;
    let tap = RedisTap::start(redis.port()).await;
    let service = Running::start("127.0.0.1", tap.port).await;
    let mut store = redis.connection().await;

    let rows = recorded::rows("acl-http.jsonl");
    let mut books = Books::default();
    let mut listed: BTreeSet<&str> = DEVIATIONS.iter().flat_map(|(_, cases)| *cases).copied().collect();
    for row in &rows {
        let case = recorded::text(row, "case");
        if case == ALLOW_ORDER {
            allow_order(&mut books, row, &service).await;
            continue;
        }
        let Some(request) = row["request"].as_str() else {
            books.held(case, "acl-service/tests/http/outage.rs", REDIS_AWAY);
            continue;
        };
        prepare(case, &mut store).await;
        let answer = service.send(&recorded::bytes(&completed(case, request))).await;
        let ours = format!("{:?}", (answer, tap.take()));
        let as_recorded = (Answer::recorded(row), recorded_commands(case, row));
        match deviation(case, &as_recorded.0) {
            None => books.same(case, format!("{as_recorded:?}"), ours),
            Some(deviation) => {
                let expected = deviate(deviation, as_recorded.clone());
                assert_ne!(expected, as_recorded, "{case} does not deviate");
                books.deviates(case, deviation.decision(), format!("{expected:?}"), ours);
                listed.remove(case);
            }
        }
    }
    books.close("acl-http.jsonl", rows.len());
    assert_eq!(listed, BTreeSet::new(), "no such cases");
}

const ALLOW_ORDER: &str = "Allow header of the ACL service under 8 hash seeds";

/// Checks the methods only: their order differs between Python's processes.
async fn allow_order(books: &mut Books, row: &Value, service: &Running) {
    let ours = service
        .ask("OPTIONS", &format!("/station/{STATION}/driver/t/acl"))
        .await
        .allow;
    let values = row["values"].as_array().unwrap();
    let flask: BTreeSet<Vec<String>> = values
        .iter()
        .map(|value| {
            let mut methods = recorded::methods(value.as_str().unwrap());
            methods.sort();
            methods
        })
        .collect();
    books.same(
        ALLOW_ORDER,
        format!("{flask:?}"),
        format!("{:?}", BTreeSet::from([ours])),
    );
}

/// Does what the recording did between its requests, according to its notes.
async fn prepare(case: &str, store: &mut MultiplexedConnection) {
    let key = format!("station:{STATION}:allowlist");
    match case {
        "wrongtype-get" => {
            let () = store.set(&key, "no set").await.unwrap();
        }
        "after-repair" => {
            let () = store.del(&key).await.unwrap();
        }
        "delete-last-member" => {
            let () = store.sadd(&key, "validDriverToken-0001").await.unwrap();
        }
        _ => {}
    }
}

/// Completes a request: long ones were recorded in shortened form.
fn completed(case: &str, request: &str) -> String {
    let length = match case {
        "token-5000-put" | "token-5000-get" => 5_000,
        "token-60000-put" | "token-60000-get" => 60_000,
        _ => return request.to_owned(),
    };
    let (method, _) = request.split_once(' ').unwrap();
    let token = "a".repeat(length);
    format!(
        "{method} /station/{STATION}/driver/{token}/acl HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    )
}

fn recorded_commands(case: &str, row: &Value) -> Vec<Vec<String>> {
    let name = match case {
        "token-5000-put" | "token-60000-put" => "SADD",
        "token-5000-get" | "token-60000-get" => "SISMEMBER",
        _ => return commands(row["redis_sent"].as_str().unwrap().as_bytes()),
    };
    let length = if case.contains("5000") { 5_000 } else { 60_000 };
    vec![vec![
        name.to_owned(),
        format!("station:{STATION}:allowlist"),
        "a".repeat(length),
    ]]
}

fn deviation(case: &str, recorded: &Answer) -> Option<Deviation> {
    let listed = DEVIATIONS.iter().find(|(_, cases)| cases.contains(&case));
    let both_names = recorded.body.starts_with("{\"authorized\":");
    listed
        .map(|(deviation, _)| *deviation)
        .or(both_names.then_some(Deviation::BothNames))
}

type Outcome = (Answer, Vec<Vec<String>>);

fn deviate(deviation: Deviation, (recorded, sent): Outcome) -> Outcome {
    let both_names = |allowed: bool| {
        let body = json!({ "allowed": allowed, "authorized": allowed });
        recorded.with_json(Some(200), &body)
    };
    let ask = |token: &str| {
        vec![vec![
            "SISMEMBER".to_owned(),
            format!("station:{STATION}:allowlist"),
            token.to_owned(),
        ]]
    };
    match deviation {
        Deviation::BothNames => (both_names(recorded.body.contains('1')), sent),
        Deviation::ErrorInJson => {
            let message = match recorded.status {
                Some(404) => "not found",
                Some(405) => "method not allowed",
                _ => "the value stored for this station is not an allow-list",
            };
            (recorded.with_json_error(message), sent)
        }
        Deviation::Head => (both_names(false).without_body(), ask("validDriverToken-0001")),
        Deviation::RawUtf8 => {
            let utf8 = |word: String| word.replace("Ã©", "é");
            let sent = sent
                .into_iter()
                .map(|words| words.into_iter().map(utf8).collect())
                .collect();
            // The recording had just put the same token, percent-encoded.
            let known = recorded.with_json(Some(200), &json!({ "num_added": 0 }));
            (
                if recorded.body.contains("num_added") {
                    known
                } else {
                    both_names(true)
                },
                sent,
            )
        }
        Deviation::LongToken => {
            let error = json!({ "error": "the driver token is longer than 16 KiB" });
            (recorded.with_json(Some(414), &error), Vec::new())
        }
        Deviation::NotHttp => (recorded::refusal(400), sent),
    }
}
