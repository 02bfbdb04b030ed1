//! All eight combinations of Python and Rust behave the same: HTTP answers, callbacks, audit records.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt, join, stream};
use harness::{Broker, eventually, http};
use serde_json::json;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::services::{Api, By, Cast, Stack};

const WAIT: Duration = Duration::from_mins(2);
/// `AUTHORIZATION_TIMEOUT_SEC` for cases in which the ACL service does not answer.
const HASTY_SECONDS: u32 = 2;
/// How many combinations run at the same time. Python's programs take seconds to start and then wait for each
/// other.
const SIDE_BY_SIDE: usize = 4;
const TOKEN: &str = "validDriverToken-0001";
const ACCEPTED: &str = "{\"message\":\"Request is being processed asynchronously. The result will be sent to the provided callback URL.\",\"status\":\"accepted\"}\n";

/// The expected outcome of a case.
struct Expected {
    token: &'static str,
    /// The verdict in callback and record, or `None` if the request is lost, as Python loses it.
    status: Option<&'static str>,
    /// Whether the caller is called back.
    called_back: bool,
    callback_status: &'static str,
}

const fn verdict(status: &'static str) -> Expected {
    Expected {
        token: TOKEN,
        status: Some(status),
        called_back: true,
        callback_status: "<Response [200]>",
    }
}

/// One request of a case. It has its own station, by which its callback and record are found.
struct Case {
    name: &'static str,
    station: String,
    callback_url: String,
    expected: Expected,
}

impl Case {
    fn new(name: &'static str, stack: &Stack, path: &str, expected: Expected) -> Self {
        let callback_url = stack.receiver.url(path);
        Self {
            name,
            station: Uuid::new_v4().to_string(),
            callback_url,
            expected,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_eight_combinations_do_the_same() {
    let played = stream::iter(Cast::all())
        .map(|players| async move {
            let start = Instant::now();
            play(players).await;
            println!(
                "{players}: all cases as expected, {:.1} s",
                start.elapsed().as_secs_f64()
            );
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .count()
        .await;
    assert_eq!(played, 8);
}

async fn play(players: Cast) {
    let vhost = Broker::shared().await.vhost("matrix").await;
    let stack = Stack::start(players, vhost).await;
    let broker_url = stack.vhost.amqp_url();
    let (expired_api, hasty_api) = join!(
        Api::start(players.api, &broker_url, 0),
        Api::start(players.api, &broker_url, HASTY_SECONDS)
    );

    let mut cases = Vec::new();
    for (name, path, expected) in [
        ("allowed", "/allowed", verdict("allowed")),
        ("not_allowed", "/not-allowed", verdict("not_allowed")),
        (
            "invalid token",
            "/invalid-token",
            Expected {
                token: "short",
                ..verdict("invalid")
            },
        ),
        ("expired", "/expired", verdict("unknown")),
        (
            "callback 500",
            "/status/500",
            Expected {
                callback_status: "<Response [500]>",
                ..verdict("allowed")
            },
        ),
        ("callback slow", "/slow/1500", verdict("allowed")),
        ("POST with JSON", "/posted?a=b&c=d", verdict("allowed")),
    ] {
        cases.push(Case::new(name, &stack, path, expected));
    }
    let invalid_url = Expected {
        called_back: false,
        callback_status: "Invalid callback URL",
        ..verdict("invalid")
    };
    let mut case = Case::new("invalid URL", &stack, "/", invalid_url);
    "http://localhost/callback".clone_into(&mut case.callback_url);
    cases.push(case);

    allow(&stack, players, &cases).await;
    join_all(cases.iter().map(|case| {
        let api = if case.name == "expired" {
            &expired_api
        } else {
            &stack.api
        };
        request(api, case, players)
    }))
    .await;
    check(&stack, players, &cases).await;

    burst(&stack, players).await;
    acl_frozen(&stack, &hasty_api, players).await;
    acl_gone(stack, players).await;
}

/// Puts the token onto the allow-list of every station that should be allowed, a few at a time. These tests
/// do not cover how the ACL service handles a burst.
async fn allow(stack: &Stack, players: Cast, cases: &[Case]) {
    let allowed = cases
        .iter()
        .filter(|case| case.expected.status == Some("allowed"));
    let answers: Vec<_> = stream::iter(allowed)
        .map(|case| stack.acl.allow(&case.station, TOKEN))
        .buffer_unordered(8)
        .collect()
        .await;
    for answer in answers {
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "{\"num_added\":1}\n"),
            "{players}"
        );
    }
}

async fn request(api: &Api, case: &Case, players: Cast) {
    let token = case.expected.token;
    let answer = if case.name == "POST with JSON" {
        http::post_json(
            &api.url(&case.station, token),
            &json!({ "callback_url": case.callback_url }),
        )
        .await
    } else {
        api.authorize(&case.station, token, &case.callback_url)
            .await
            .expect("an answer")
    };
    let shown = (answer.status, answer.header("content-type"), answer.text());
    assert_eq!(
        shown,
        (200, Some("application/json"), ACCEPTED.to_owned()),
        "{players}: {}",
        case.name
    );
}

/// Asserts that each case has exactly one callback and its record, both as expected.
async fn check(stack: &Stack, players: Cast, cases: &[Case]) {
    let recorded = cases.iter().filter(|case| case.expected.status.is_some()).count();
    let records = eventually(format!("{players}: {recorded} audit records"), WAIT, || async {
        let mut records = stack.redis.audit_records().await;
        records.retain(|record| {
            cases
                .iter()
                .any(|case| record.field("station_id") == case.station)
        });
        if records.len() == recorded {
            Ok(records)
        } else {
            Err(format!("{} records", records.len()))
        }
    })
    .await;
    let callbacks = stack.receiver.by_station();
    for case in cases {
        let calls = callbacks.get(&case.station).map_or(0, Vec::len);
        assert_eq!(
            calls,
            usize::from(case.expected.called_back),
            "{players}: {}",
            case.name
        );
    }
    for Case {
        name,
        station,
        callback_url,
        expected,
    } in cases
    {
        let token = expected.token;
        let Some(status) = expected.status else { continue };
        if expected.called_back {
            let callback = &callbacks[station][0];
            assert_eq!(callback.method, "POST", "{players}: {name}");
            assert_eq!(
                stack.receiver.url(&callback.target),
                *callback_url,
                "{players}: {name}"
            );
            let body = format!(
                "{{\"station_id\": \"{station}\", \"driver_token\": \"{token}\", \"status\": \"{status}\"}}"
            );
            assert_eq!(String::from_utf8_lossy(&callback.body), body, "{players}: {name}");
            assert_eq!(
                callback.header("content-type"),
                Some("application/json"),
                "{players}: {name}"
            );
        }
        let record = records
            .iter()
            .find(|record| record.field("station_id") == *station)
            .unwrap_or_else(|| panic!("{players}: {name} is not recorded"));
        let fields: BTreeMap<&str, &str> = record
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let wanted = BTreeMap::from([
            ("station_id", station.as_str()),
            ("driver_token", token),
            ("status", status),
            ("callback_status", expected.callback_status),
            ("callback_url", callback_url.as_str()),
        ]);
        assert_eq!(fields, wanted, "{players}: {name}");
        let start_ns = record
            .key
            .strip_prefix("log:authorize:")
            .and_then(|rest| rest.split(':').next());
        assert!(start_ns.is_some_and(|ns| ns.len() == 19 && ns.bytes().all(|b| b.is_ascii_digit())));
        assert!(
            record.key.ends_with(&format!(":{station}:{token}")),
            "{players}: {}",
            record.key
        );
    }
}

/// Asserts that 200 simultaneous requests are all accepted, called back once and recorded once.
async fn burst(stack: &Stack, players: Cast) {
    // Bursts run one at a time, because the ACL service waits only 900 ms for Redis, however many
    // combinations run.
    static QUIET: Mutex<()> = Mutex::const_new(());
    let cases: Vec<Case> = (0..200)
        .map(|n| Case::new("burst", stack, &format!("/burst?n={n}"), verdict("allowed")))
        .collect();
    allow(stack, players, &cases).await;
    let _quiet = QUIET.lock().await;
    join_all(cases.iter().map(|case| request(&stack.api, case, players))).await;
    check(stack, players, &cases).await;
}

/// Checks an ACL service that does not answer: the verdict is `unknown` when the time is up.
async fn acl_frozen(stack: &Stack, hasty_api: &Api, players: Cast) {
    let case = Case::new("ACL silent", stack, "/acl-silent", verdict("unknown"));
    stack.acl.0.process.freeze();
    request(hasty_api, &case, players).await;
    check(stack, players, std::slice::from_ref(&case)).await;
    stack.acl.0.process.thaw();
}

/// Checks an ACL service that is down: Python loses the request, ours reports `unknown` (docs/MIGRATION.md).
async fn acl_gone(stack: Stack, players: Cast) {
    let expected = match players.worker {
        By::Rust => verdict("unknown"),
        By::Python => Expected {
            status: None,
            called_back: false,
            ..verdict("unknown")
        },
    };
    let case = Case::new("ACL down", &stack, "/acl-down", expected);
    stack.acl.0.process.kill();
    request(&stack.api, &case, players).await;
    if players.worker == By::Python {
        stack
            .worker
            .wait_for_line("raised unexpected: ConnectionError", WAIT)
            .await;
    }
    check(&stack, players, std::slice::from_ref(&case)).await;
}
