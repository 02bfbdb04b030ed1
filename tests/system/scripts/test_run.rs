//! scripts/test: the exit code of `make test`, and the files that a run leaves.

use super::{LIST, Project, Target};

const SCRIPT: &str = "scripts/test";

/// Writes a cargo that builds one test binary and one without tests. It also runs `build` when it builds; the
/// first binary runs `tests`.
fn cargo(project: &Project, build: &str, tests: &str) -> std::path::PathBuf {
    let lib = Target {
        kind: "lib",
        ..Target::test("clock")
    };
    let main = Target {
        kind: "bin",
        ..Target::test("alarm")
    };
    project.list(&[project.built(&lib, tests), project.built(&main, EMPTY)]);
    let body = format!(
        "case \" $* \" in *' --no-run '*) {build}; cat {LIST} ;; *) echo \"cargo $*\"; echo '   Doc-tests clock'; {EMPTY} ;; esac"
    );
    project.cargo("99.0.0", &body)
}

const PASSING: &str = "
echo 'running 3 tests'
echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s'";

const EMPTY: &str = "
echo 'running 0 tests'
echo 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s'";

#[test]
fn a_run_that_passes_ends_in_a_summary_and_leaves_its_logs() {
    let project = Project::new();
    let cargo = cargo(&project, "echo built >&2", PASSING);
    let ended = project.run(SCRIPT, &[&cargo], &[]);
    let output = &ended.output;
    assert_eq!(ended.code, Some(0), "{output}");
    // Cargo's own closing lines are unchanged.
    assert!(output.contains("\ntest result: ok. 2 passed; "), "{output}");
    let (_, summary) = output.split_once("\nSummary\n").expect("a summary");
    for line in [
        " s  set-up: ok\n",
        " s  build: ok\n",
        " s  tests: ok\n",
        "     0.1 s  ok      clock (src/lib.rs): 2 passed, 0 failed, 1 ignored\n",
        "\n2 tests passed, 0 failed, 1 ignored, in 1 test binaries; 2 more have no tests.\n",
        "The logs of this run are in target/test-logs: set-up.log, build.log, tests.log\n",
    ] {
        assert!(summary.contains(line), "{line:?} is not in {summary}");
    }
    assert!(
        !summary.contains("Failed") && !summary.contains("src/bin/alarm.rs"),
        "{summary}"
    );
    let log = |part: &str| project.read(&format!("target/test-logs/{part}.log"));
    assert_eq!(log("set-up"), "set-up is there\nCelery 5.2.7 is there\n");
    assert!(log("tests").contains("test result: ok"));
    // A failure must not keep later tests from running.
    assert!(log("tests").contains("cargo test --workspace --doc --no-fail-fast\n"));
}

#[test]
fn the_exit_code_is_that_of_the_part_that_failed() {
    let cases = [
        // Set-up, build, tests; exit code, the part that is blamed.
        ("exit 3", "true", PASSING, 3, "set-up: failed with exit code 3\n"),
        ("", "exit 101", PASSING, 101, "build: failed with exit code 101\n"),
        ("", "true", "exit 101", 101, "tests: failed with exit code 101\n"),
        (
            "",
            "true",
            "kill -9 $$",
            101,
            "tests: failed with exit code 101\n",
        ),
    ];
    for (set_up, build, tests, code, blamed) in cases {
        let project = Project::new();
        let set_up = format!("{set_up}\necho set-up");
        project.script("scripts/setup", &set_up);
        let cargo = cargo(&project, build, tests);
        let ended = project.run(SCRIPT, &[&cargo], &[]);
        assert_eq!(ended.code, Some(code), "{}", ended.output);
        assert!(ended.output.contains(blamed), "{blamed}: {}", ended.output);
        let later = ended.output.split_once(blamed).expect("a summary").1;
        assert!(!later.contains(": ok"), "{}", ended.output);
    }
}

#[test]
fn the_exit_code_is_that_of_the_signal_that_ended_the_tests() {
    let project = Project::new();
    let cargo = cargo(&project, "true", PASSING);
    project.script("scripts/run-tests", "kill -9 $$");
    let ended = project.run(SCRIPT, &[&cargo], &[]);
    assert_eq!(ended.code, Some(137), "{}", ended.output);
    assert!(
        ended.output.contains("tests: failed with exit code 137\n"),
        "{}",
        ended.output
    );
}

#[test]
fn with_a_list_of_binaries_nothing_is_set_up_or_built() {
    let project = Project::new();
    let cargo = cargo(&project, "echo built >&2", PASSING);
    let list = project.root.join(LIST);
    let list = list.display().to_string();
    let ended = project.run(SCRIPT, &[&cargo], &[("TEST_BINARIES", &list)]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains("\n2 tests passed, "), "{}", ended.output);
    assert!(!ended.output.contains("set-up is there"), "{}", ended.output);
    assert!(!ended.output.contains("built"), "{}", ended.output);
}

#[test]
fn a_snapshot_that_nothing_asserts_fails_the_run() {
    let project = Project::new();
    for name in ["left over.snap", "Left.snap", "waits.snap.new"] {
        std::fs::write(project.root.join(name), "").expect(name);
    }
    let cargo = cargo(&project, "true", PASSING);
    let ended = project.run(SCRIPT, &[&cargo], &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    let (_, failed) = ended.output.split_once("\nFailed\n").expect("the failures");
    assert!(
        failed.starts_with(
            "  these snapshots belong to no assertion, or wait to be accepted:\n    ./Left.snap\n    ./left over.snap\n    \
             ./waits.snap.new\n"
        ),
        "{failed}"
    );
}

#[test]
fn logs_of_an_earlier_run_are_gone() {
    let project = Project::new();
    let passing = cargo(&project, "true", PASSING);
    project.run(SCRIPT, &[&passing], &[]);
    let broken = cargo(&project, "exit 101", PASSING);
    let ended = project.run(SCRIPT, &[&broken], &[]);
    assert_eq!(ended.code, Some(101), "{}", ended.output);
    assert!(!project.root.join("target/test-logs/tests.log").exists());
    assert!(!ended.output.contains("tests passed"), "{}", ended.output);
}
