//! scripts/test-summary, run on recorded output of cargo (tests/golden/make-test).

use std::fs;
use std::path::Path;
use std::process::Command;

use super::ended;
use crate::documents::root;

const FAILED: &str = "
Summary
       3 s  set-up: ok
      65 s  build: ok
     309 s  tests: failed with exit code 101

Test binaries
     0.0 s  FAILED  clock (src/lib.rs): 1 passed, 2 failed, 1 ignored
      –     DIED    alarm (tests/alarm.rs): signal: 9, SIGKILL: kill
      –     DIED    leaves (tests/leaves.rs): exit status: 3
     0.0 s  ok      quiet (tests/quiet.rs): 1 passed, 0 failed, 0 ignored
     0.0 s  FAILED  clock (documentation): 1 passed, 1 failed, 0 ignored

3 tests passed, 3 failed, 1 ignored, in 5 test binaries; 2 died.

Failed
  tests::an_hour_is_short  in clock (src/lib.rs)
  tests::nothing_is_never  in clock (src/lib.rs)
    again: cargo test --lib
  alarm (tests/alarm.rs) died: signal: 9, SIGKILL: kill
    again: cargo test --test alarm
  leaves (tests/leaves.rs) died: exit status: 3
    again: cargo test --test leaves
  src/lib.rs - hours (line 5)  in clock (documentation)
    again: cargo test --doc

The logs of this run are in LOGS: set-up.log, build.log, tests.log
";

const NOT_BUILT: &str = "
Summary
       3 s  set-up: ok
      65 s  build: failed with exit code 101

Failed
  clock (lib) does not compile
  clock (lib test) does not compile

The logs of this run are in LOGS: set-up.log, build.log
";

fn golden(name: &str) -> Vec<u8> {
    fs::read(root().join("tests/golden/make-test").join(name)).expect(name)
}

/// The summary of a folder with these files, in a locale that is not UTF-8.
fn summary(files: &[(&str, &[u8])]) -> String {
    let logs = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        fs::write(logs.path().join(name), content).expect(name);
    }
    let mut command = Command::new(root().join("scripts/test-summary"));
    let ended = ended(command.arg(logs.path()).env("LC_ALL", "C").env("PYTHONUTF8", "0"));
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let place: &Path = logs.path();
    ended.output.replace(&place.display().to_string(), "LOGS")
}

#[test]
fn failing_and_dying_tests_are_named() {
    let parts = b"set-up\t3\t0\nbuild\t65\t0\ntests\t309\t101\n";
    for log in ["tests.log", "tests-coloured.log"] {
        let summary = summary(&[("parts.tsv", parts), ("tests.log", &golden(log))]);
        assert_eq!(summary, FAILED, "{log}");
    }
}

#[test]
fn a_log_need_not_be_text() {
    let mut log =
        b"     Running tests/\xff.rs (target/debug/deps/odd-0123456789abcdef)\r\n\xff\xfe\r\n\0".to_vec();
    log.extend(b"\r\nrunning 1 test\r\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\r\n");
    let summary = summary(&[("parts.tsv", b"tests\t1\t0\n"), ("tests.log", &log)]);
    assert!(
        summary.contains("  ok      odd (tests/\u{fffd}.rs): 1 passed, 0 failed, 0 ignored\n"),
        "{summary}"
    );
}

#[test]
fn a_log_that_ends_early_is_no_success() {
    let log =
        b"     Running tests/a.rs (target/debug/deps/a-0123456789abcdef)\n\nrunning 2 tests\ntest b ... ok\n";
    let summary = summary(&[("parts.tsv", b"tests\t1\t137\n"), ("tests.log", log)]);
    assert!(summary.contains("  DIED    a (tests/a.rs)"), "{summary}");
    assert!(summary.contains("; 1 died."), "{summary}");
}

#[test]
fn what_does_not_compile_is_named() {
    let parts = b"set-up\t3\t0\nbuild\t65\t101\n";
    let summary = summary(&[("parts.tsv", parts), ("build.log", &golden("build.log"))]);
    assert_eq!(summary, NOT_BUILT);
}
