//! The program as its operator sees it, without a broker.

use std::time::{Duration, Instant};

use harness::recorded::STATION;
use harness::{Process, Signal, free_port};
use public_api::VARIABLES;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The time limit for everything that must happen eventually, even on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// Three seconds are promised. A request that nobody refuses ends after thirty, with another text, so this bound
/// distinguishes the two even on the busiest machine.
const REFUSAL_BOUND: Duration = Duration::from_secs(20);

fn start(arguments: &[&str], env: &[(&str, String)]) -> Process {
    let env = env.iter().map(|(name, value)| (*name, value.as_str()));
    Process::spawn(env!("CARGO_BIN_EXE_public-api"), arguments, env)
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
            ("BROKER_URL", "redis://:hunter2@redis".to_owned()),
            ("AUTHORIZATION_TIMEOUT_SEC", "5.5".to_owned()),
            ("ADMIN_ADDRESS", "9100".to_owned()),
        ],
    );
    assert_eq!(
        end(&program).await,
        (
            Some(64),
            "public-api: the environment has mistakes:\n  \
             AUTHORIZATION_TIMEOUT_SEC: is \"5.5\", expected a whole number of seconds\n  \
             FLASK_RUN_PORT: is \"http\", expected a port from 0 to 65535\n  \
             BROKER_URL: the broker transport `redis` is not supported; only amqp://, pyamqp:// and amqps:// are\n  \
             ADMIN_ADDRESS: is \"9100\", expected host:port, such as 127.0.0.1:9100"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn a_taken_port_is_reported_in_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, said) = end(&start(&[], &[("FLASK_RUN_PORT", port.to_string())])).await;
    let sentence = "another program uses this port; stop it or choose another port";
    assert_eq!(
        (code, said),
        (
            Some(1),
            format!("public-api: cannot listen on 127.0.0.1:{port}: {sentence}")
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

/// Starts the program with a broker at this address, as in a row of public-api-http.jsonl (Python answers each with 500
/// after up to 4 s). Checks that the error is logged once, without the password, and that both of two requests are
/// refused.
async fn refuses(case: &str, broker: &str) {
    let (port, admin) = (free_port(), free_port());
    let env = [
        ("BROKER_URL", format!("amqp://guest:hunter2@{broker}//")),
        ("FLASK_RUN_PORT", port.to_string()),
        ("ADMIN_ADDRESS", format!("127.0.0.1:{admin}")),
    ];
    let program = start(&[], &env);
    program
        .wait_for_line("public API on http://127.0.0.1:", BOUND)
        .await;
    let authorize = format!("http://127.0.0.1:{port}/station/{STATION}/driver/t/authorize?callback_url=u");
    for _ in 0..2 {
        let begin = Instant::now();
        let refusal = harness::http::get(&authorize).await;
        assert!(begin.elapsed() < REFUSAL_BOUND, "{case}: {:?}", begin.elapsed());
        assert_eq!(
            (refusal.status, refusal.header("retry-after")),
            (503, Some("1")),
            "{case}"
        );
        assert_eq!(
            refusal.text(),
            "{\"error\":\"The request could not be enqueued; try again\"}\n",
            "{case}"
        );
    }
    assert_eq!(
        harness::http::get(&format!("http://127.0.0.1:{admin}/livez"))
            .await
            .status,
        200,
        "{case}"
    );
    let ready = harness::http::get(&format!("http://127.0.0.1:{admin}/readyz")).await;
    assert_eq!(ready.status, 503, "{case}");
    assert!(
        ready.json()["not_ready"]["broker"].is_string(),
        "{case}: {ready:?}"
    );

    program.signal(Signal::TERM);
    assert_eq!(program.wait_exit(BOUND).await.code(), Some(0), "{case}");
    let said: Vec<String> = program
        .lines()
        .into_iter()
        .filter(|line| line.contains(" ERROR "))
        .collect();
    assert!(said.len() <= 1, "{case}: {said:#?}");
    assert!(
        !program.lines().concat().contains("hunter2"),
        "{case}: {:#?}",
        program.lines()
    );
}

#[tokio::test]
async fn nobody_listens() {
    refuses("broker-refused", &format!("127.0.0.1:{}", free_port())).await;
}

#[tokio::test]
async fn no_such_host() {
    refuses("broker-dns-failure", "rabbit.invalid").await;
}

#[tokio::test]
async fn connected_and_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    refuses(
        "broker-accepts-never-answers",
        &listener.local_addr().unwrap().to_string(),
    )
    .await;
}

#[tokio::test]
async fn connected_and_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut closing = JoinSet::new();
    closing.spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    refuses("broker-accepts-and-closes", &address).await;
}

/// A full accept queue, so that the system drops new connections.
#[tokio::test]
async fn connecting_takes_for_ever() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "the queue is never full");
    }
    refuses("broker-connect-timeout", &address.to_string()).await;
}
