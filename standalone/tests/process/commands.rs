//! The printed commands work as printed.

use harness::{Process, Scratch, Signal, http};

use crate::running::{PROGRAM, Running, WAIT, all_done};

const NOTHING: [(&str, &str); 0] = [];

#[tokio::test]
async fn the_demo_shows_each_verdict_from_request_to_record() {
    // The demo must ignore both the user's policy and a proxy.
    let environment = [
        ("CALLBACK_NETWORKS", "public"),
        ("http_proxy", "http://127.0.0.1:1"),
    ];
    let process = Process::spawn(PROGRAM, ["demo"], environment);
    let status = process.wait_exit(WAIT).await;
    assert_eq!(status.code(), Some(0), "{}", process.tail());
    assert!(process.stderr().is_empty(), "{}", process.tail());
    let shown = process.stdout().join("\n");
    for verdict in ["allowed", "not_allowed", "invalid", "unknown"] {
        assert!(
            shown.contains(&format!(r#""status": "{verdict}"}}"#)),
            "{verdict}: {shown}"
        );
        assert!(
            shown.contains(&format!("status           {verdict}\n")),
            "{verdict}: {shown}"
        );
    }
    assert_eq!(
        shown.matches("callback_status  <Response [200]>").count(),
        4,
        "{shown}"
    );
    assert_eq!(
        std::fs::read_dir(process.directory()).unwrap().count(),
        0,
        "it leaves nothing behind"
    );
}

#[tokio::test]
async fn the_printed_commands_work() {
    let directory = Scratch::new();
    let database = directory.join("it's a database.db");
    // The callbacks of the examples go to a port on which any program may listen.
    let running = Running::start(&database, &[("CALLBACK_NETWORKS", "public")]).await;
    let printed = running.process.stdout();
    let curls: Vec<_> = printed
        .iter()
        .filter_map(|line| line.trim().strip_prefix("curl "))
        .collect();
    assert_eq!(curls.len(), 4, "{printed:?}");
    let mut answers = Vec::new();
    for curl in curls {
        let (method, url) = match curl.strip_prefix("-X PUT ") {
            Some(url) => ("PUT", url),
            None => ("GET", curl),
        };
        let answer = http::send(method, url.trim_matches('\''), &[], Vec::new()).await;
        assert_eq!(answer.status, 200, "{curl}: {answer:?}");
        answers.push(answer.text());
    }
    assert_eq!(
        answers[..2],
        ["{\"num_added\":1}\n", "{\"allowed\":true,\"authorized\":true}\n"]
    );
    all_done(&database).await;

    let log = shell(&printed, " log ").await;
    assert!(
        log.contains("status           allowed") && log.contains("status           not_allowed"),
        "{log}"
    );
    let queue = shell(&printed, " queue ").await;
    assert!(queue.starts_with("0 requests are waiting in "), "{queue}");
    running.process.signal(Signal::INT);
    assert_eq!(
        running.process.wait_exit(WAIT).await.code(),
        Some(0),
        "{}",
        running.process.tail()
    );
}

/// Runs the printed command that contains `word` in a shell. Returns its output.
async fn shell(printed: &[String], word: &str) -> String {
    let command = printed
        .iter()
        .find(|line| line.starts_with("  /") && line.contains(word))
        .unwrap();
    let process = Process::spawn("/bin/sh", ["-c", command], NOTHING);
    assert_eq!(
        process.wait_exit(WAIT).await.code(),
        Some(0),
        "{}",
        process.tail()
    );
    process.stdout().join("\n")
}

#[tokio::test]
async fn the_receiver_prints_requests_without_terminal_controls() {
    let receiver = Process::spawn(PROGRAM, ["receive", "--port", "0"], NOTHING);
    let line = receiver.wait_for_line("Waiting for callbacks on ", WAIT).await;
    let url = line
        .split(['(', ' ', ';'])
        .find(|word| word.starts_with("http://"))
        .unwrap();
    let answer = http::post(&format!("{url}/a?b=c"), "text/plain", b"x\x1b[2Jy\n\xff".to_vec()).await;
    assert_eq!(answer.status, 200);
    receiver
        .wait_for_line("POST /a?b=c x\\u{1b}[2Jy\\u{a}\u{fffd}", WAIT)
        .await;
    receiver.signal(Signal::INT);
    assert_eq!(receiver.wait_exit(WAIT).await.code(), Some(0));
}

#[tokio::test]
async fn the_log_and_the_queue_can_be_looked_at_while_the_services_run_and_after_a_kill() {
    let directory = Scratch::new();
    let database = directory.join("a.db");
    let running = Running::start(&database, &[]).await;
    let show = async |command: &str| {
        let arguments = [command, "--database", database.to_str().unwrap()];
        let process = Process::spawn(PROGRAM, arguments, NOTHING);
        assert_eq!(
            process.wait_exit(WAIT).await.code(),
            Some(0),
            "{}",
            process.tail()
        );
        process.stdout().join("\n")
    };
    assert!(show("log").await.starts_with("no records yet in "));
    running.process.kill();
    assert!(show("log").await.starts_with("no records yet in "));
    assert!(show("queue").await.starts_with("0 requests are waiting in "));
}

#[tokio::test]
async fn help_names_flags_commands_and_variables() {
    let process = Process::spawn(PROGRAM, ["--help"], NOTHING);
    assert_eq!(process.wait_exit(WAIT).await.code(), Some(0));
    let help = process.stdout().join("\n");
    for word in [
        "--api-port",
        "--acl-port",
        "--database",
        "demo",
        "receive",
        "log",
        "queue",
        "CALLBACK_NETWORKS",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
