//! .ci/run: a failing part does not hide the others, and the lints run beside the tests.

use super::{Ended, Project};

const PARTS: [&str; 6] = [
    "test-binaries",
    "lint",
    "test",
    "test-versions",
    "test-elastic",
    "test-compose PROGRAMS=debug",
];

/// Runs .ci/run with this script as `make`.
fn run(make: &str) -> Ended {
    let project = Project::new();
    project.script("make", make);
    let path = format!("{}:/usr/bin:/bin", project.root.display());
    project.run(".ci/run", &[], &[("PATH", &path)])
}

/// Asserts the outcome of each part in the final summary.
fn assert_outcomes(ended: &Ended, outcome: impl Fn(&str) -> &'static str) {
    let (_, parts) = ended.output.split_once("Parts of .ci/run\n").expect("a summary");
    let lines: Vec<&str> = parts.lines().filter(|line| line.contains(" make ")).collect();
    assert_eq!(lines.len(), PARTS.len(), "{parts}");
    for (line, part) in lines.iter().zip(PARTS) {
        let wanted = format!(" s  make {part}: {}", outcome(part));
        assert!(line.ends_with(&wanted), "{wanted}: {parts}");
    }
}

#[test]
fn every_part_is_run_and_the_failed_ones_are_named() {
    let ended = run("echo \"part: $*\"; [ \"$1\" != test ] && [ \"$1\" != test-elastic ]");
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert_outcomes(&ended, |part| match part {
        "test" | "test-elastic" => "failed with exit code 1",
        _ => "ok",
    });
    for part in PARTS {
        assert!(
            ended.output.contains(&format!("part: {part}\n")),
            "{}",
            ended.output
        );
    }
}

#[test]
fn it_passes_when_every_part_does_and_each_prints_in_one_piece() {
    let ended = run("echo \"one: $*\"; sleep 1; echo \"two: $TEST_BINARIES\"");
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert_outcomes(&ended, |_| "ok");
    for part in PARTS {
        let (_, rest) = ended.output.split_once(&format!("one: {part}\n")).expect(part);
        let list = rest.lines().next().expect("a second line");
        // The parts after the build use its output.
        let built = list.ends_with("/target/test-binaries.json");
        assert!(
            list.starts_with("two: ") && built == (part != "test-binaries"),
            "{part}: {list}"
        );
    }
}

#[test]
fn without_a_build_the_parts_build_by_themselves() {
    let ended = run("[ \"$1\" != test-binaries ] && [ -z \"$TEST_BINARIES\" ]");
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert_outcomes(&ended, |part| match part {
        "test-binaries" => "failed with exit code 1",
        _ => "ok",
    });
}

/// A failing set-up is not a failure by itself. The part that needs it reports it.
#[test]
fn a_set_up_that_fails_is_no_failure() {
    let ended = run("[ \"$1\" != setup-all ]");
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert_outcomes(&ended, |_| "ok");
}

/// `make test` ends only once `make lint` has begun, and vice versa.
#[test]
fn tests_and_lints_run_side_by_side() {
    let ended = run(
        "wait_for() { for second in $(seq 60); do [ -e $1 ] && exit; sleep 1; done; exit 1; }
        case $1 in
        lint) touch linted; wait_for tested ;;
        test) touch tested; wait_for linted ;;
        esac",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}
