//! A user's mistake leads to a clear sentence and an exit code, not to a panic.

use std::net::TcpListener;
use std::time::Duration;

use harness::{Process, Redis, Signal, eventually, free_port, http};

use crate::services::rust;

const WAIT: Duration = Duration::from_mins(1);
const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
const API: &str = env!("CARGO_BIN_EXE_test-public-api");
const ACL: &str = env!("CARGO_BIN_EXE_test-acl-service");

/// Environment variables of a program.
type Variables = &'static [(&'static str, &'static str)];

/// Waits for the end of a program and returns its exit code and all output.
async fn ended(process: Process) -> (Option<i32>, String) {
    let status = process.wait_exit(WAIT).await;
    let output = process.lines().join("\n");
    assert!(!output.contains("panicked"), "{output}");
    (status.code(), output)
}

#[tokio::test]
async fn an_unknown_flag_is_refused() {
    for program in [WORKER, API, ACL] {
        let (code, output) = ended(rust(program, &["--no-such-flag"], &[])).await;
        assert_eq!(code, Some(2), "{program}: {output}");
        assert!(output.contains("--no-such-flag"), "{program}: {output}");
    }
}

#[tokio::test]
async fn every_bad_variable_is_named_at_once_and_nothing_connects() {
    let bad: [(&str, Variables, &[&str]); 3] = [
        (
            WORKER,
            &[
                ("BROKER_URL", "redis://h"),
                ("CALLBACK_TIMEOUT_SEC", "soon"),
                ("REDIS_HOST", "localhost"),
                ("REDIS_PORT", "99999"),
                ("AUTHORIZATION_SERVICE_URL", "not a url"),
            ],
            &[
                "BROKER_URL",
                "CALLBACK_TIMEOUT_SEC",
                "REDIS_PORT",
                "AUTHORIZATION_SERVICE_URL",
            ],
        ),
        (
            API,
            &[
                ("BROKER_URL", "amqp://guest:se-cret@h:99999/"),
                ("FLASK_RUN_PORT", "http"),
                ("AUTHORIZATION_TIMEOUT_SEC", "-"),
            ],
            &["BROKER_URL", "FLASK_RUN_PORT", "AUTHORIZATION_TIMEOUT_SEC"],
        ),
        (
            ACL,
            &[("REDIS_PORT", "x"), ("FLASK_RUN_PORT", "-1")],
            &["REDIS_PORT", "FLASK_RUN_PORT"],
        ),
    ];
    for (program, variables, names) in bad {
        let (code, output) = ended(rust(program, &[], variables)).await;
        assert!(code.is_some_and(|code| code != 0), "{program}: {output}");
        for name in names {
            assert!(output.contains(name), "{program} does not name {name}: {output}");
        }
        assert!(!output.contains("se-cret"), "{output}");
        assert!(
            !output.contains("onnect"),
            "{program} connects all the same: {output}"
        );
    }
}

#[tokio::test]
async fn a_taken_port_is_said_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port();
    for program in [API, ACL] {
        let (code, output) = ended(rust(program, &[], &[("FLASK_RUN_PORT", &port.to_string())])).await;
        assert_eq!(code, Some(1), "{program}: {output}");
        assert!(
            output.contains(&format!("127.0.0.1:{port}")),
            "{program}: {output}"
        );
        assert!(
            output.contains("another program uses this port"),
            "{program}: {output}"
        );
    }
}

/// If a program is started before its servers, it logs once what is missing. It is alive but not ready, and
/// becomes ready by itself.
#[tokio::test(flavor = "multi_thread")]
async fn missing_servers_are_said_once_and_waited_for() {
    let mut redis = Redis::start().await;
    let redis_port = redis.port();
    redis.stop().await;
    let admin = free_port();
    let acl = rust(
        ACL,
        &[],
        &[
            ("REDIS_HOST", "127.0.0.1"),
            ("REDIS_PORT", &redis_port.to_string()),
            ("FLASK_RUN_PORT", &free_port().to_string()),
            ("ADMIN_ADDRESS", &format!("127.0.0.1:{admin}")),
        ],
    );
    not_ready(&acl, admin, "redis").await;
    redis.start_again().await;
    ready(admin).await;
    stopped(acl, 0).await;

    for (program, arguments) in [(API, &[][..]), (WORKER, &["worker", "-l", "INFO"][..])] {
        let (admin, broker) = (free_port(), free_port());
        let process = rust(
            program,
            arguments,
            &[
                (
                    "BROKER_URL",
                    &format!("amqp://guest:se-cret@127.0.0.1:{broker}//"),
                ),
                ("FLASK_RUN_PORT", &free_port().to_string()),
                ("ADMIN_ADDRESS", &format!("127.0.0.1:{admin}")),
            ],
        );
        not_ready(&process, admin, "broker").await;
        let missing = format!("cannot connect to amqp://guest:**@127.0.0.1:{broker}");
        process.wait_for_line(&missing, WAIT).await;
        let said = |lines: Vec<String>| {
            lines
                .iter()
                .filter(|line| line.contains("cannot connect"))
                .count()
        };
        assert_eq!(said(process.lines()), 1, "{}", process.tail());
        assert!(!process.tail().contains("se-cret"));
        stopped(process, 0).await;
    }
}

async fn not_ready(process: &Process, admin: u16, part: &str) {
    let url = format!("http://127.0.0.1:{admin}/readyz");
    eventually("the health page", WAIT, || async {
        http::try_send("GET", &url, &[], Vec::new())
            .await
            .map_err(|error| error.to_string())
            .and_then(|answer| {
                if answer.status == 503 && answer.text().contains(part) {
                    Ok(())
                } else {
                    Err(answer.text())
                }
            })
    })
    .await;
    assert!(process.try_exit().is_none());
    assert_eq!(
        http::get(&format!("http://127.0.0.1:{admin}/livez")).await.status,
        200
    );
}

async fn ready(admin: u16) {
    eventually("readiness", WAIT, || async {
        let answer = http::get(&format!("http://127.0.0.1:{admin}/readyz")).await;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.text())
        }
    })
    .await;
}

async fn stopped(process: Process, code: i32) {
    process.signal(Signal::TERM);
    assert_eq!(
        process.wait_exit(WAIT).await.code(),
        Some(code),
        "{}",
        process.tail()
    );
}
