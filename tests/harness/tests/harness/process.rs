//! Tests of programs under test, and of what happens to them when the test process is killed.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use harness::{Process, Signal, eventually};

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_mins(1);

/// This variable is set for the copy of this program that is to be killed.
const VICTIM: &str = "HARNESS_TEST_VICTIM";

fn shell(script: &str) -> Process {
    Process::spawn("/bin/sh", ["-c", script], [("GREETING", "good day")])
}

fn alive(pid: &str) -> bool {
    // A zombie process counts as dead, too.
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state
        .rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn collects_both_streams_and_the_exit_code() {
    let process = shell("echo $GREETING; echo trouble >&2; env | sort; exit 3");
    assert_eq!(process.wait_exit(SOON).await.code(), Some(3));
    assert_eq!(process.stderr(), ["trouble"]);
    assert_eq!(process.stdout()[0], "good day");
    assert!(
        !process.lines().iter().any(|line| line.starts_with("CARGO")),
        "{:?}",
        process.lines()
    );
}

#[tokio::test]
async fn waits_for_lines_and_signals() {
    let process = shell("trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    assert_eq!(process.wait_for_line("ead", SOON).await, "ready");
    process.signal(Signal::TERM);
    assert!(process.wait_exit(SOON).await.success());
    assert_eq!(process.wait_for_line("told", SOON).await, "told");
    process.signal(Signal::TERM);
    assert!(process.kill().success());
}

#[tokio::test]
async fn does_nothing_while_it_is_frozen() {
    let process = shell("while :; do echo line; sleep 0.01; done");
    process.wait_for_line("line", SOON).await;
    process.freeze();
    // Lines written earlier may not have arrived yet.
    let mut lines = process.lines().len();
    eventually("its last line", SOON, || {
        let before = std::mem::replace(&mut lines, process.lines().len());
        let now = lines;
        async move {
            tokio::time::sleep(SECOND / 5).await;
            if before == now {
                Ok(())
            } else {
                Err(format!("{now} lines"))
            }
        }
    })
    .await;
    process.thaw();
    eventually("one more", SOON, || async {
        match process.lines().len() {
            now if now > lines => Ok(()),
            now => Err(format!("{now} lines")),
        }
    })
    .await;
}

#[tokio::test]
async fn kills_with_the_children() {
    let process = shell("sleep 1000 & echo $!; wait");
    let child = process.wait_for_line("", SOON).await;
    assert_eq!(process.kill().signal(), Some(9));
    eventually("the child to end", SOON, || async {
        if alive(&child) { Err(child.clone()) } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "ended (exit status: 7) without")]
async fn an_early_end_fails_the_wait() {
    shell("exit 7").wait_for_line("ready", SOON).await;
}

#[tokio::test]
#[should_panic(expected = "within 1s")]
async fn a_missing_line_fails_the_wait() {
    shell("echo nothing; sleep 1000")
        .wait_for_line("ready", SECOND)
        .await;
}

#[tokio::test]
#[should_panic(expected = "run `make test`, or scripts/setup")]
async fn a_missing_program_says_what_to_do() {
    Process::spawn("/nowhere/program", [""; 0], [("", ""); 0]);
}

/// Runs only in the copy of this program that is started below; otherwise returns at once.
#[tokio::test]
async fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let server = shell("exec sleep 1000");
    println!("server {} {}", server.pid(), server.directory().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_outlives_a_killed_test_process() {
    let program = std::env::current_exe().unwrap();
    let test = Process::spawn(
        program,
        ["--exact", "process::victim", "--nocapture"],
        [(VICTIM, "1")],
    );
    let line = test.wait_for_line("server ", SOON).await;
    let words: Vec<&str> = line.split_whitespace().rev().collect();
    let (directory, server) = (words[0].to_owned(), words[1].to_owned());
    assert!(alive(&server) && Path::new(&directory).exists());
    test.signal(Signal::KILL);
    eventually("the server to end and its directory to go", SOON, || async {
        let (alive, there) = (alive(&server), Path::new(&directory).exists());
        if alive || there {
            Err(format!("server alive: {alive}, directory there: {there}"))
        } else {
            Ok(())
        }
    })
    .await;
}
