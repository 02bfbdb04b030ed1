//! Every recorded request to the Python service, sent to ours.

use celery_protocol::{Message, Value, json};
use harness::recorded::{self, Answer, STATION, text};
use harness::{Books, adr};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::deviations::{self, deviate, deviation};
use crate::enqueued;
use crate::recorder::{Running, TIMEOUT};
use crate::requests::complete;

/// The outcome of a request: the answers on its connection, and the arguments of the enqueued tasks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) answers: Vec<Answer>,
    pub(crate) enqueued: Vec<Vec<Value>>,
}

#[tokio::test]
async fn every_recorded_request() {
    let rows = recorded::rows("public-api-http.jsonl");
    let service = Running::start().await;
    let mut books = Books::default();
    let mut listed = deviations::cases();
    for row in &rows {
        let case = text(row, "case");
        let Some(request) = row["request"].as_str() else {
            without_request(&mut books, &service, &rows, row).await;
            continue;
        };
        let ours = ask(&service, case, &complete(case, request)).await;
        let as_recorded = recorded_outcome(row);
        match deviation(case) {
            None => books.same(case, format!("{as_recorded:?}"), format!("{ours:?}")),
            Some(deviation) => {
                let mut expected = as_recorded.clone();
                deviate(deviation, case, &mut expected);
                assert_ne!(expected, as_recorded, "{case} does not deviate");
                let decision = deviation.decision();
                books.deviates(case, decision, format!("{expected:?}"), format!("{ours:?}"));
                listed.remove(case);
            }
        }
    }
    books.close("public-api-http.jsonl", rows.len());
    assert!(listed.is_empty(), "no such cases: {listed:?}");
}

/// Handles rows that are messages, and those that other tests cover: outages and large bodies.
async fn without_request(books: &mut Books, service: &Running, rows: &[Json], row: &Json) {
    let case = text(row, "case");
    let confirmed = adr(
        23,
        "200 only for what the broker holds, else 503 in JSON within 3 s",
    );
    let of_a_broker =
        case.starts_with("broker-link:") || matches!(case, "broker-wrong-password" | "broker-vhost-missing");
    if case.starts_with(enqueued::RECORDED) {
        let (recorded, ours) = enqueued::compared(service, rows, row).await;
        books.same(case, recorded, ours);
    } else if of_a_broker {
        books.held(case, "tests/system/broker_link.rs", confirmed);
    } else if case.starts_with("broker-") {
        books.held(case, "public-api/tests/http/program.rs", confirmed);
    } else {
        let too_large = adr(22, "a body over 64 KiB: 413");
        books.held(case, "public-api/tests/http/outage.rs", too_large);
    }
}

async fn ask(service: &Running, case: &str, request: &[u8]) -> Outcome {
    let before = Timestamp::now();
    let received = service.exchange(request).await;
    let after = Timestamp::now();
    assert_eq!(
        received.starts_with(b"HTTP/1.1 100 Continue\r\n\r\n"),
        case == "body-json-expect-100"
    );
    let arguments = |message: Message| {
        let Ok(Value::List(body)) = json::parse(&message.body) else {
            panic!("{case}: {message:?}")
        };
        let [Value::List(args), Value::Dict(kwargs), Value::Dict(_)] = body.as_slice() else {
            panic!("{case}: {body:?}")
        };
        assert_eq!(kwargs.len(), 0, "{case}");
        let [.., Value::Int(expiry)] = args.as_slice() else {
            panic!("{case}: {args:?}")
        };
        let accepted = i128::from(*expiry) - i128::try_from(TIMEOUT.as_nanos()).unwrap();
        assert!(
            (before.as_nanosecond()..=after.as_nanosecond()).contains(&accepted),
            "{case}: {expiry}"
        );
        args[..args.len() - 1].to_vec()
    };
    let enqueued = service.queue.take().into_iter().map(arguments).collect();
    Outcome {
        answers: Answer::all(&received),
        enqueued,
    }
}

/// Returns the recorded outcome without the expiry, which [`ask`] checks.
fn recorded_outcome(row: &Json) -> Outcome {
    let case = row["case"].as_str().unwrap();
    let answers = match row["status"].as_u64() {
        Some(100) => Answer::all(row["body"].as_str().unwrap().as_bytes()),
        None if row["body"] == "" => Vec::new(),
        _ => vec![Answer::recorded(row)],
    };
    let enqueued = row["enqueued"].as_array().into_iter().flatten().map(|enqueued| {
        let args = match enqueued {
            Json::String(shortened) => recorded_in_short(case, shortened),
            full => {
                let mut args = full["args"].clone();
                // Only strings are enqueued here; the text of the value is enough for the comparison.
                if !args[2].is_string() {
                    args[2] = args[2].to_string().into();
                }
                args.to_string()
            }
        };
        // A lone surrogate was recorded as the text of its escape.
        let args = args.replace("\\\\ud800", "\\ud800");
        let Ok(Value::List(mut args)) = json::parse(args.as_bytes()) else {
            panic!("{case}: {args}")
        };
        assert_eq!(args.len(), 4, "{case}");
        args.truncate(3);
        args
    });
    Outcome {
        answers,
        enqueued: enqueued.collect(),
    }
}

fn recorded_in_short(case: &str, shortened: &str) -> String {
    let station = format!(
        "{{\"__type__\": \"uuid\", \"__value__\": {{\"hex\": \"{}\"}}}}",
        STATION.replace('-', "")
    );
    let (token, url) = match case {
        "token-5000" => ("a".repeat(5_000), "http://cb.example.com/x".to_owned()),
        "query-8k" => (
            "validDriverToken-0001".to_owned(),
            format!("http://cb.example.com/x{}", "p".repeat(8_000)),
        ),
        // The others deviate: nothing is enqueued.
        _ => (String::new(), String::new()),
    };
    let args = format!("[{station}, \"{token}\", \"{url}\", 1795346140690351620]");
    if !token.is_empty() {
        let (start, length) = shortened.split_once("...(").unwrap();
        let full = format!("{{\"args\": {args}, \"kwargs\": {{}}}}");
        assert!(full.starts_with(start), "{case}");
        assert_eq!(format!("{} characters)", full.len()), length, "{case}");
    }
    args
}
