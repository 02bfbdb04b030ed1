//! Access lines in Werkzeug's format: off by default; when on, they contain neither token nor query.

use std::time::Duration;

use harness::{Process, Redis, Service, Signal, free_port, http};

use crate::services::rust;

const WAIT: Duration = Duration::from_secs(20);
const API: &str = env!("CARGO_BIN_EXE_test-public-api");
const ACL: &str = env!("CARGO_BIN_EXE_test-acl-service");
const STANDALONE: &str = env!("CARGO_BIN_EXE_test-standalone");
const STATION: &str = "5e3a7b1c-0d2e-4f6a-8b9c-1d2e3f4a5b6c";
const TOKEN: &str = "tokenMarked-0123456789";

/// The line by which the tests recognize that a service has started.
const PROBE: &str = "\"GET / HTTP/1.1\" 404 -";

/// The lines about requests, each from its quotation mark on. Asserts that the whole log contains no token.
async fn lines(process: &Process) -> Vec<String> {
    process.signal(Signal::TERM);
    process.wait_exit(WAIT).await;
    let output = process.stderr();
    let whole = output.join("\n");
    assert!(
        !whole.contains("tokenMarked") && !whole.contains("callback_url"),
        "{whole}"
    );
    let mut lines = Vec::new();
    for line in output {
        let Some((client, request)) = line.split_once(" - - [") else {
            continue;
        };
        assert!(client.ends_with(" 127.0.0.1"), "{line}");
        let (time, request) = request.split_once("] ").expect("the end of the time");
        let digits: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert!(
            digits.starts_with("00/") && digits.ends_with("/0000 00:00:00"),
            "{line}"
        );
        if request != PROBE {
            lines.push(request.to_owned());
        }
    }
    lines
}

/// Sends requests to the public API and the ACL service that lead to answers of several kinds.
async fn ask(api: Option<&str>, acl: Option<&str>) {
    let path = format!("station/{STATION}/driver/{TOKEN}");
    if let Some(api) = api {
        let authorize = format!("{api}/{path}/authorize");
        assert_eq!(http::get(&authorize).await.status, 400);
        assert_eq!(
            http::delete(&format!("{authorize}?callback_url=http://{TOKEN}/"))
                .await
                .status,
            405
        );
        assert_eq!(
            http::get(&format!("{api}/{path}/authorise?{TOKEN}")).await.status,
            404
        );
        assert_eq!(
            http::get(&format!("{api}//station//{STATION}/driver/{TOKEN}/authorize"))
                .await
                .status,
            308
        );
        assert_eq!(http::get(&format!("{api}/{TOKEN}%0A%1B[2J")).await.status, 404);
    }
    if let Some(acl) = acl {
        assert_eq!(http::put(&format!("{acl}/{path}/acl")).await.status, 200);
        assert_eq!(
            http::get(&format!("{acl}/station/x/driver/{TOKEN}/acl"))
                .await
                .status,
            404
        );
    }
}

fn of_the_api() -> Vec<String> {
    let path = format!("/station/{STATION}/driver/***");
    vec![
        format!("\"GET {path}/authorize HTTP/1.1\" 400 -"),
        format!("\"DELETE {path}/authorize?*** HTTP/1.1\" 405 -"),
        format!("\"GET {path}/***?*** HTTP/1.1\" 404 -"),
        format!("\"GET /station//{STATION}/driver/***/authorize HTTP/1.1\" 308 -"),
        "\"GET /*** HTTP/1.1\" 404 -".to_owned(),
    ]
}

fn of_the_acl_service() -> Vec<String> {
    vec![
        format!("\"PUT /station/{STATION}/driver/***/acl HTTP/1.1\" 200 -"),
        "\"GET /station/***/***/***/*** HTTP/1.1\" 404 -".to_owned(),
    ]
}

/// The variables in addition to those of the services.
const OFF: [&[(&str, &str)]; 2] = [&[], &[("ACCESS_LOG", "off")]];
const ON: [&[(&str, &str)]; 2] = [
    &[("ACCESS_LOG", "on")],
    &[("ACCESS_LOG", "on"), ("RUST_LOG", "warn")],
];

#[tokio::test(flavor = "multi_thread")]
async fn of_the_public_api() {
    for (settings, expected) in OFF
        .map(|off| (off, Vec::new()))
        .into_iter()
        .chain(ON.map(|on| (on, of_the_api())))
    {
        let (port, broker) = (free_port(), format!("amqp://127.0.0.1:{}", free_port()));
        let port_text = port.to_string();
        let variables = [
            settings,
            &[("FLASK_RUN_PORT", &port_text), ("BROKER_URL", &broker)],
        ]
        .concat();
        let service = Service::start(rust(API, &[], &variables), port).await;
        ask(Some(&service.url()), None).await;
        assert_eq!(lines(&service.process).await, expected, "{settings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_acl_service_on_redis() {
    let redis = Redis::start().await;
    let redis_port = redis.port().to_string();
    for (settings, expected) in [(OFF[0], Vec::new()), (ON[0], of_the_acl_service())] {
        let port = free_port();
        let port_text = port.to_string();
        let own = [
            ("FLASK_RUN_PORT", port_text.as_str()),
            ("REDIS_HOST", "127.0.0.1"),
            ("REDIS_PORT", &redis_port),
        ];
        let service = Service::start(rust(ACL, &[], &[settings, &own].concat()), port).await;
        ask(None, Some(&service.url())).await;
        assert_eq!(lines(&service.process).await, expected, "{settings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_standalone() {
    for (settings, expected) in [
        (OFF[0], Vec::new()),
        (ON[0], [of_the_api(), of_the_acl_service()].concat()),
    ] {
        let (api, acl) = (free_port(), free_port());
        let arguments = ["--api-port", &api.to_string(), "--acl-port", &acl.to_string()];
        let process = rust(STANDALONE, &arguments, settings);
        process.wait_for_line("Press Ctrl-C to stop", WAIT).await;
        let url = |port| format!("http://127.0.0.1:{port}");
        ask(Some(&url(api)), Some(&url(acl))).await;
        assert_eq!(lines(&process).await, expected, "{settings:?}");
    }
}
