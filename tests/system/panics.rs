//! A background task that panics: the program is not ready and names the task. It then exits with a failure,
//! or restarts the task.

use std::path::Path;
use std::time::Duration;

use harness::{Broker, LogPlace, Process, Redis, Service, eventually, free_port, http};
use uuid::Uuid;

use crate::load::TOKEN;

const WAIT: Duration = Duration::from_mins(1);
const PLANTED: &str = "panicked: planted by the test";

fn start(program: &str, arguments: &[&str], panic_at: &str, variables: &[(&str, &str)]) -> Process {
    let variables = [variables, &[("TEST_PANIC_AT", panic_at)]].concat();
    Process::spawn(program, arguments, variables)
}

/// Waits until the program, while it still runs, reports that it is not ready and gives this reason.
async fn is_not_ready(process: &Process, admin: u16, part: &str) {
    let url = format!("http://127.0.0.1:{admin}/readyz");
    eventually(format!("{part} in /readyz"), WAIT, || async {
        let answer = http::try_send("GET", &url, &[], "").await;
        let answer = answer.map_err(|error| format!("{error:#}\n{}", process.tail()))?;
        let text = answer.text();
        if answer.status == 503 && text.contains(part) && text.contains(PLANTED) {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

async fn fails(process: &Process, part: &str) {
    let status = process.wait_exit(WAIT).await;
    assert_eq!(status.code(), Some(1), "{}", process.tail());
    let said = process.stderr();
    let is_said = said
        .iter()
        .any(|line| line.contains(part) && line.contains(PLANTED));
    assert!(is_said, "{}", process.tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn acl_service() {
    let redis = Redis::start().await;
    let (port, redis_port) = (free_port().to_string(), redis.port().to_string());
    let variables = [
        ("FLASK_RUN_PORT", port.as_str()),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &redis_port),
    ];
    let process = start(
        env!("CARGO_BIN_EXE_test-acl-service"),
        &[],
        " answers",
        &variables,
    );
    fails(&process, "the watch on Redis").await;
}

/// The connection to the broker is restarted.
#[tokio::test(flavor = "multi_thread")]
async fn public_api() {
    let vhost = Broker::shared().await.vhost("panic").await;
    let (port, admin) = (free_port(), free_port());
    let variables = [
        ("FLASK_RUN_PORT", port.to_string()),
        ("ADMIN_ADDRESS", format!("127.0.0.1:{admin}")),
        ("BROKER_URL", vhost.amqp_url()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let process = start(
        env!("CARGO_BIN_EXE_test-public-api"),
        &[],
        "connection to broker lost",
        &variables,
    );
    let service = Service::start(process, port).await;
    service.process.wait_for_line("Connected to", WAIT).await;
    vhost.close_all_connections().await;
    is_not_ready(&service.process, admin, "broker").await;
    service.process.wait_for_line("starting it again", WAIT).await;
    let station = Uuid::new_v4();
    let url = format!(
        "{}/station/{station}/driver/{TOKEN}/authorize?callback_url=http://127.0.0.1:9/",
        service.url()
    );
    eventually("requests are accepted again", WAIT, || async {
        match http::get(&url).await.status {
            200 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    let ready = http::get(&format!("http://127.0.0.1:{admin}/readyz")).await;
    assert_eq!(ready.status, 200, "{ready:?}");
}

/// The signal listener panics while logging; SIGTERM still ends the program.
#[tokio::test(flavor = "multi_thread")]
async fn listening_to_signals() {
    let port = free_port();
    let port_text = port.to_string();
    let variables = [("FLASK_RUN_PORT", port_text.as_str()), ("REDIS_PORT", "1")];
    let process = start(
        env!("CARGO_BIN_EXE_test-acl-service"),
        &[],
        "SIGTERM received",
        &variables,
    );
    let service = Service::start(process, port).await;
    service.process.signal(harness::Signal::TERM);
    service.process.wait_exit(WAIT).await;
    let said = service.process.stderr().join("\n");
    assert!(said.contains("planted by the test"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn worker() {
    let vhost = Broker::shared().await.vhost("panic").await;
    let broker = vhost.amqp_url();
    let variables = [
        ("BROKER_URL", broker.as_str()),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", "1"),
    ];
    let process = start(
        env!("CARGO_BIN_EXE_test-worker"),
        &["worker"],
        "audit log",
        &variables,
    );
    fails(&process, "the audit log writer").await;
}

/// The end of a run cannot be recorded: its message must not stay in the queue unnoticed. Other runs finish
/// first.
#[tokio::test(flavor = "multi_thread")]
async fn standalone() {
    let receiver = harness::Receiver::start().await;
    let admin = free_port();
    let arguments = ["--api-port", "0", "--acl-port", "0"];
    let address = format!("127.0.0.1:{admin}");
    let variables = [
        ("ADMIN_ADDRESS", address.as_str()),
        ("CALLBACK_TIMEOUT_SEC", "60"),
    ];
    let process = start(
        env!("CARGO_BIN_EXE_test-standalone"),
        &arguments,
        "succeeded in",
        &variables,
    );
    let line = process.wait_for_line("public API", WAIT).await;
    let api = line.split_whitespace().last().unwrap_or_default().to_owned();
    for (count, path) in [(1, "/hang"), (2, "/")] {
        let (station, callback) = (Uuid::new_v4(), receiver.url(path));
        let url = format!("{api}/station/{station}/driver/{TOKEN}/authorize?callback_url={callback}");
        assert_eq!(http::get(&url).await.status, 200);
        receiver.wait_for(count, WAIT).await;
    }
    is_not_ready(&process, admin, "\"worker\"").await;
    fails(&process, "the worker").await;
    let database = process.directory().join("cp-auth.db");
    let arguments = ["queue".as_ref(), "--database".as_ref(), database.as_os_str()];
    let queue = Process::spawn(env!("CARGO_BIN_EXE_test-standalone"), arguments, [("", ""); 0]);
    assert!(queue.wait_exit(WAIT).await.success());
    assert!(queue.stdout()[0].starts_with("2 request"), "{}", queue.tail());
}

/// A panic's message is a log line as well. If it waited for a reader that hangs, nobody would learn of the
/// panic.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_reader_that_stands_still() {
    let receiver = harness::Receiver::start().await;
    let place = LogPlace::pipe();
    let program = Path::new(env!("CARGO_BIN_EXE_test-standalone"));
    let (shell, words) = place.command(program, &["--api-port", "0", "--acl-port", "0"]);
    let process = Process::spawn(shell, words, [("TEST_PANIC_AT", "succeeded in")]);
    let line = process.wait_for_line("public API", WAIT).await;
    let api = line.split_whitespace().last().unwrap_or_default().to_owned();
    process.wait_for_line("Press Ctrl-C to stop", WAIT).await;
    place.stand_still();
    let (station, callback) = (Uuid::new_v4(), receiver.url("/"));
    let url = format!("{api}/station/{station}/driver/{TOKEN}/authorize?callback_url={callback}");
    assert_eq!(http::get(&url).await.status, 200);
    assert_eq!(process.wait_exit(WAIT).await.code(), Some(1));
}
