//! Every recorded request to the Python service, sent to ours.

use std::collections::BTreeMap;

use celery_protocol::{Message, Value, json};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::deviations::{self, Deviation, deviate, deviation};
use crate::recorded::{self, Answer, STATION};
use crate::recorder::{Running, TIMEOUT};
use crate::requests::complete;
use crate::{enqueued, outage, program};

/// What a request leads to: the answers on its connection, and the arguments of what is enqueued.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) answers: Vec<Answer>,
    pub(crate) enqueued: Vec<Vec<Value>>,
}

#[tokio::test]
async fn every_recorded_request() {
    let rows = recorded::rows("public-api-http.jsonl");
    let service = Running::start().await;
    let mut same = 0;
    let mut deviating: BTreeMap<Deviation, usize> = BTreeMap::new();
    let mut elsewhere = Vec::new();
    let mut failures = Vec::new();
    for row in &rows {
        let case = row["case"].as_str().unwrap();
        let Some(request) = row["request"].as_str() else {
            elsewhere.push(case);
            continue;
        };
        let outcome = ask(&service, case, &complete(case, request)).await;
        let mut expected = recorded_outcome(row);
        match deviation(case) {
            None => same += 1,
            Some(deviation) => {
                *deviating.entry(deviation).or_default() += 1;
                let as_recorded = expected.clone();
                deviate(deviation, case, &mut expected);
                assert_ne!(expected, as_recorded, "{case} does not deviate");
            }
        }
        if outcome != expected {
            failures.push(format!("{case}\n  expected {expected:?}\n  got      {outcome:?}"));
        }
    }
    let count = same + deviating.values().sum::<usize>();
    println!(
        "public-api-http.jsonl: {} lines, {count} requests sent: {same} answered to the byte, {deviating:?}",
        rows.len()
    );
    println!(
        "public-api-http.jsonl: {} lines held by other tests: {elsewhere:?}",
        elsewhere.len()
    );
    println!(
        "of these by the system tests, with a real broker: {:?}",
        outage::OF_THE_BROKER
    );
    assert!(
        failures.is_empty(),
        "{} of {count} differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    let mut held = [
        enqueued::RECORDED,
        program::BROKER_AWAY,
        outage::OF_THE_BROKER,
        outage::LARGE_BODIES,
    ]
    .concat();
    held.sort_unstable();
    elsewhere.sort_unstable();
    assert_eq!(elsewhere, held);
    assert_eq!(count + elsewhere.len(), rows.len());
    assert_eq!(deviations::count(), count - same);
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

/// As recorded, the expiry (checked in [`ask`]) left out.
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
                // Only texts are enqueued here; as a text it does for the comparison.
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
