//! Tests of the eight combinations and of a burst, through the published ports.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use harness::http;
use serde_json::json;

use crate::requests::{Batch, TOKEN, settled};
use crate::stack::{By, Part, Stack, quiet};

const BURST: u32 = 200;
const ACCEPTED: &str = "{\"message\":\"Request is being processed asynchronously. The result will be sent to the provided callback URL.\",\"status\":\"accepted\"}\n";

/// A request and its expected outcome.
struct Case {
    name: &'static str,
    token: &'static str,
    path: &'static str,
    status: &'static str,
    callback_status: &'static str,
}

const CASES: [Case; 6] = [
    case("allowed", TOKEN, "/", "allowed", "<Response [200]>"),
    case(
        "POST with JSON",
        TOKEN,
        "/posted?a=b&c=d",
        "allowed",
        "<Response [200]>",
    ),
    case(
        "callback 500",
        TOKEN,
        "/status/500",
        "allowed",
        "<Response [500]>",
    ),
    case(
        "slow callback",
        TOKEN,
        "/slow/1500",
        "allowed",
        "<Response [200]>",
    ),
    case("not allowed", TOKEN, "/", "not_allowed", "<Response [200]>"),
    case("invalid token", "short", "/", "invalid", "<Response [200]>"),
];

const fn case(
    name: &'static str,
    token: &'static str,
    path: &'static str,
    status: &'static str,
    callback_status: &'static str,
) -> Case {
    Case {
        name,
        token,
        path,
        status,
        callback_status,
    }
}

/// Tests all eight combinations, each one swap away from the last. Prints a line for each and returns its name
/// and outcome.
pub(crate) async fn eight_combinations(stack: &mut Stack, with: &str) -> BTreeMap<String, String> {
    let mut outcomes = BTreeMap::new();
    // The order is a Gray code: it starts with all services in Rust and ends one swap away from that.
    let swaps = [
        None,
        Some(Part::Api),
        Some(Part::Worker),
        Some(Part::Api),
        Some(Part::Acl),
        Some(Part::Api),
        Some(Part::Worker),
        Some(Part::Api),
    ];
    for swap in swaps {
        let begin = Instant::now();
        if let Some(part) = swap {
            let to = match stack.by(part) {
                By::Python => By::Rust,
                By::Rust => By::Python,
            };
            stack.swap(part, to).await;
        }
        let name = name(stack);
        play(stack, &name).await;
        println!(
            "{with}: {name}: {} cases and a burst of {BURST} as expected, {:.1} s",
            CASES.len(),
            begin.elapsed().as_secs_f64()
        );
        outcomes.insert(name, "yes".to_owned());
    }
    stack.swap(Part::Acl, By::Rust).await;
    assert_eq!(outcomes.len(), 8);
    outcomes
}

fn name(stack: &Stack) -> String {
    let [api, worker, acl] = Part::ALL.map(|part| stack.by(part));
    format!("API {api}, worker {worker}, ACL {acl}")
}

async fn play(stack: &Stack, name: &str) {
    let batch = Batch::new();
    let stations = batch.stations(u32::try_from(CASES.len()).unwrap() + BURST);
    let (single, burst) = stations.split_at(CASES.len());
    let allowed = single
        .iter()
        .zip(&CASES)
        .filter(|(_, case)| case.status == "allowed")
        .map(|(station, _)| station)
        .chain(burst);
    let answers: Vec<_> = stream::iter(allowed)
        .map(|station| async move { http::put(&stack.acl_url(station, TOKEN)).await.text() })
        .buffer_unordered(8)
        .collect()
        .await;
    assert!(
        answers.iter().all(|answer| answer == "{\"num_added\":1}\n"),
        "{name}: {answers:?}"
    );

    join_all(
        single
            .iter()
            .zip(&CASES)
            .map(|(station, case)| ask(stack, station, case, name)),
    )
    .await;
    let quiet = quiet().await;
    join_all(burst.iter().map(|station| ask(stack, station, &CASES[0], name))).await;
    let fate = settled(stack, &batch, &stations, name).await;
    drop(quiet);
    assert_eq!((fate.called_twice, fate.recorded_twice), (0, 0), "{name}");

    let callbacks = stack.receiver.by_station();
    let records = stack.records(&batch.prefix);
    let cases = single.iter().zip(&CASES);
    for (station, case) in cases.chain(burst.iter().map(|station| (station, &CASES[0]))) {
        let record = records.iter().find(|record| record.station == *station).unwrap();
        let seen = (
            callbacks[station][0].target.as_str(),
            callbacks[station][0].field("status"),
            record.status.as_str(),
            record.callback_status.as_str(),
        );
        let expected = (
            case.path,
            case.status.to_owned(),
            case.status,
            case.callback_status,
        );
        assert_eq!(seen, expected, "{name}: {}", case.name);
    }
}

async fn ask(stack: &Stack, station: &str, case: &Case, name: &str) {
    let (url, callback_url) = (
        stack.authorize_url(station, case.token),
        stack.callback_url(case.path),
    );
    let answer = if case.name == "POST with JSON" {
        http::post_json(&url, &json!({ "callback_url": callback_url })).await
    } else {
        http::get(&format!("{url}?callback_url={callback_url}")).await
    };
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, ACCEPTED),
        "{name}: {}",
        case.name
    );
}
