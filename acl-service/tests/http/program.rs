//! The program as its operator sees it.

use std::time::Duration;

use acl_service::VARIABLES;
use harness::recorded::STATION;
use harness::{Process, Redis, Signal, eventually, free_port};

/// The time limit for everything that must happen eventually, even on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

fn start(arguments: &[&str], env: &[(&str, String)]) -> Process {
    let env = env.iter().map(|(name, value)| (*name, value.as_str()));
    Process::spawn(env!("CARGO_BIN_EXE_acl-service"), arguments, env)
}

async fn end(program: &Process) -> (Option<i32>, String) {
    let status = program.wait_exit(BOUND).await;
    (status.code(), program.stderr().join("\n"))
}

#[tokio::test]
async fn every_bad_variable_is_listed_before_anything_connects() {
    let program = start(
        &[],
        &[
            ("FLASK_RUN_PORT", "http".to_owned()),
            ("AUTHORIZATION_SERVICE_PORT", "-1".to_owned()),
            ("REDIS_PORT", "redis://:hunter2@redis".to_owned()),
            ("ADMIN_ADDRESS", "9100".to_owned()),
            ("RUST_LOG", "=x=".to_owned()),
        ],
    );
    assert_eq!(
        end(&program).await,
        (
            Some(64),
            "acl-service: the environment has mistakes:\n  \
             FLASK_RUN_PORT: is \"http\", expected a port from 0 to 65535\n  \
             AUTHORIZATION_SERVICE_PORT: is \"-1\", expected a port from 0 to 65535\n  \
             REDIS_PORT: expected a port from 0 to 65535\n  \
             ADMIN_ADDRESS: is \"9100\", expected host:port, such as 127.0.0.1:9100\n  \
             RUST_LOG: is \"=x=\", expected a level (error, warn, info, debug, trace) or a list of module=level"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn a_taken_port_is_reported_in_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let program = start(&[], &[("FLASK_RUN_PORT", port.to_string())]);
    let (code, said) = end(&program).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        said,
        format!(
            "acl-service: cannot listen on 127.0.0.1:{port}: another program uses this port; \
             stop it or choose another port"
        )
    );
}

#[tokio::test]
async fn help_names_every_variable_and_an_unknown_flag_is_refused() {
    let help = start(&["--help"], &[]);
    assert_eq!(help.wait_exit(BOUND).await.code(), Some(0));
    let text = help.stdout().join("\n");
    for variable in VARIABLES {
        assert!(
            text.contains(variable.name) && text.contains(variable.meaning),
            "{text}"
        );
    }
    let (code, said) = end(&start(&["--port", "1"], &[])).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("unexpected argument '--port'"), "{said}");
}

#[tokio::test]
async fn without_redis_it_serves_and_logs_that_once_until_redis_is_up() {
    let mut redis = Redis::start().await;
    redis.stop().await;
    let (port, admin) = (free_port(), free_port());
    let [host, redis_port] = redis.variables();
    let env = [
        host,
        redis_port,
        ("FLASK_RUN_PORT", port.to_string()),
        ("ADMIN_ADDRESS", format!("127.0.0.1:{admin}")),
    ];
    let program = start(&[], &env);
    program
        .wait_for_line("ACL service on http://127.0.0.1:", BOUND)
        .await;
    let complaint = format!("Redis at 127.0.0.1:{} does not answer", redis.port());
    program.wait_for_line(&complaint, BOUND).await;

    let acl = format!("http://127.0.0.1:{port}/station/{STATION}/driver/t/acl");
    let (livez, readyz) = (
        format!("http://127.0.0.1:{admin}/livez"),
        format!("http://127.0.0.1:{admin}/readyz"),
    );
    assert_eq!(harness::http::get(&acl).await.status, 503);
    assert_eq!(harness::http::get(&livez).await.status, 200);
    let ready = harness::http::get(&readyz).await;
    assert_eq!(
        (ready.status, ready.json()["ready"].as_bool()),
        (503, Some(false))
    );
    assert!(ready.json()["not_ready"]["redis"].is_string(), "{ready:?}");

    redis.start_again().await;
    eventually("readiness", BOUND, async || {
        let ready = harness::http::get(&readyz).await;
        if ready.status == 200 {
            Ok(())
        } else {
            Err(format!("{ready:?}"))
        }
    })
    .await;
    assert_eq!(harness::http::put(&acl).await.text(), "{\"num_added\":1}\n");
    let answers = format!("Redis at 127.0.0.1:{} answers", redis.port());
    program.wait_for_line(&answers, BOUND).await;
    let lines = program.lines();
    let until_it_came = lines.iter().take_while(|line| !line.contains(&answers));
    assert_eq!(
        until_it_came.filter(|line| line.contains(&complaint)).count(),
        1,
        "{lines:#?}"
    );

    program.signal(Signal::TERM);
    assert_eq!(program.wait_exit(BOUND).await.code(), Some(0));
}
