//! scripts/test: the exit code of `make test`, and what is left of a run.

use super::Project;

const SCRIPT: &str = "scripts/test";

/// A cargo whose `test --no-run` and `test` do these.
fn cargo(project: &Project, build: &str, tests: &str) -> std::path::PathBuf {
    let body = format!("case \" $* \" in *' --no-run '*) {build} ;; *) {tests} ;; esac");
    project.cargo("99.0.0", &body)
}

const PASSING: &str = "
echo \"cargo $*\"
echo '     Running unittests src/lib.rs (target/debug/deps/clock-0123456789abcdef)'
echo 'running 3 tests'
echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s'
echo '     Running unittests src/main.rs (target/debug/deps/clock-fedcba9876543210)'
echo 'running 0 tests'
echo 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s'";

#[test]
fn a_run_that_passes_ends_in_a_summary_and_leaves_its_logs() {
    let project = Project::new();
    let cargo = cargo(&project, "echo built", PASSING);
    let ended = project.run(SCRIPT, &[&cargo], &[]);
    let output = &ended.output;
    assert_eq!(ended.code, Some(0), "{output}");
    // Cargo's own closing lines stand as they are.
    assert!(output.contains("\ntest result: ok. 2 passed; "), "{output}");
    let (_, summary) = output.split_once("\nSummary\n").expect("a summary");
    for line in [
        " s  set-up: ok\n",
        " s  build: ok\n",
        " s  tests: ok\n",
        "     0.1 s  ok      clock (src/lib.rs): 2 passed, 0 failed, 1 ignored\n",
        "\n2 tests passed, 0 failed, 1 ignored, in 1 test binaries; 1 more have no tests.\n",
        "The logs of this run are in target/test-logs: set-up.log, build.log, tests.log\n",
    ] {
        assert!(summary.contains(line), "{line:?} is not in {summary}");
    }
    assert!(
        !summary.contains("Failed") && !summary.contains("src/main.rs"),
        "{summary}"
    );
    let log = |part: &str| project.read(&format!("target/test-logs/{part}.log"));
    assert_eq!(log("set-up"), "set-up is there\nCelery 5.2.7 is there\n");
    assert!(log("tests").contains("test result: ok"));
    // A binary that fails must not keep the later ones from running.
    assert!(log("tests").contains("cargo test --workspace --no-fail-fast\n"));
}

#[test]
fn the_exit_code_is_that_of_the_part_that_failed() {
    let cases = [
        // Set-up, build, tests; exit code, the part that is blamed.
        ("exit 3", "", PASSING, 3, "set-up: failed with exit code 3\n"),
        ("", "exit 101", PASSING, 101, "build: failed with exit code 101\n"),
        ("", "", "exit 101", 101, "tests: failed with exit code 101\n"),
        ("", "", "kill -9 $$", 137, "tests: failed with exit code 137\n"),
    ];
    for (set_up, build, tests, code, blamed) in cases {
        let project = Project::new();
        let set_up = format!("{set_up}\necho set-up");
        project.script("scripts/setup", &set_up);
        let cargo = cargo(&project, &format!("true; {build}"), tests);
        let ended = project.run(SCRIPT, &[&cargo], &[]);
        assert_eq!(ended.code, Some(code), "{}", ended.output);
        assert!(ended.output.contains(blamed), "{blamed}: {}", ended.output);
        let later = ended.output.split_once(blamed).expect("a summary").1;
        assert!(!later.contains(": ok"), "{}", ended.output);
    }
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
