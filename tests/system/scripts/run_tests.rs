//! scripts/run-tests: runs test binaries side by side and prints their output as cargo would.

use std::path::Path;

use super::{Ended, LIST, Project, Target};

const SCRIPT: &str = "scripts/run-tests";

const PASSING: &str = "echo 'running 1 test'
echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s'";

/// Runs all of these binaries, with a cargo that runs `documentation` in place of the documentation tests.
fn run(project: &Project, binaries: &[String], documentation: &str, variables: &[(&str, &str)]) -> Ended {
    project.list(binaries);
    let cargo = project.cargo("99.0.0", documentation);
    let root = project.root.display().to_string();
    let command = format!("cd '{root}' && exec {SCRIPT} {LIST} '{}'", cargo.display());
    project.script("run", &command);
    project.run("run", &[], variables)
}

#[test]
fn what_fails_is_reported_as_cargo_does_and_the_others_run() {
    let project = Project::new();
    let binaries = [
        project.built(&Target::test("fails"), "echo one; echo two >&2; exit 101"),
        project.built(&Target::test("leaves"), "exit 3"),
        project.built(&Target::test("dies"), "kill -9 $$"),
        project.built(&Target::test("passes"), PASSING),
    ];
    let ended = run(&project, &binaries, "echo documented", &[]);
    assert_eq!(ended.code, Some(101), "{}", ended.output);
    let deps = project.root.join("target/debug/deps").display().to_string();
    for piece in [
        "     Running tests/fails.rs (target/debug/deps/fails-0123456789abcdef)\none\ntwo\n\
         error: test failed, to rerun pass `-p clock --test fails`\n"
            .to_owned(),
        format!(
            "error: test failed, to rerun pass `-p clock --test leaves`\n\nCaused by:\n  \
             process didn't exit successfully: `{deps}/leaves-0123456789abcdef` (exit status: 3)\n"
        ),
        format!(
            "error: test failed, to rerun pass `-p clock --test dies`\n\nCaused by:\n  \
             process didn't exit successfully: `{deps}/dies-0123456789abcdef` (signal: 9, SIGKILL: killed)\n"
        ),
        "     Running tests/passes.rs (target/debug/deps/passes-0123456789abcdef)\nrunning 1 test\n"
            .to_owned(),
        "documented\n".to_owned(),
        "error: 3 targets failed:\n".to_owned(),
    ] {
        assert!(ended.output.contains(&piece), "{piece}: {}", ended.output);
    }
}

#[test]
fn documentation_that_fails_fails_the_run() {
    let project = Project::new();
    let binaries = [project.built(&Target::test("passes"), PASSING)];
    assert_eq!(run(&project, &binaries, "exit 0", &[]).code, Some(0));
    let ended = run(&project, &binaries, "exit 101", &[]);
    assert_eq!(ended.code, Some(101), "{}", ended.output);
    assert!(ended.output.contains("1 passed"), "{}", ended.output);
}

/// Each of the two ends only once the other has begun.
#[test]
fn binaries_run_at_the_same_time() {
    let project = Project::new();
    let meets = |name: &'static str, other: &str| {
        let body = format!(
            "touch {name}; for second in $(seq 60); do [ -e {other} ] && exit 0; sleep 1; done; exit 1"
        );
        project.built(&Target::test(name), &body)
    };
    let binaries = [meets("hither", "thither"), meets("thither", "hither")];
    let ended = run(&project, &binaries, "exit 0", &[("TEST_JOBS", "2")]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

#[test]
fn what_is_not_run_unasked_is_run_by_name_with_arguments() {
    let project = Project::new();
    let long = Target {
        is_usual: false,
        ..Target::test("long")
    };
    let binaries = [
        project.built(&long, "echo \"long: $*\"; exit 3"),
        project.built(&Target::test("usual"), PASSING),
    ];
    let ended = run(&project, &binaries, "exit 0", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(!ended.output.contains("long"), "{}", ended.output);

    let list = project.root.join(LIST);
    let arguments: [&Path; 5] = [
        &list,
        Path::new("--test"),
        Path::new("long"),
        Path::new("--ignored"),
        Path::new("a_name"),
    ];
    let ended = project.run(SCRIPT, &arguments, &[]);
    assert_eq!(ended.code, Some(3), "{}", ended.output);
    assert!(
        ended.output.contains("long: --ignored a_name\n"),
        "{}",
        ended.output
    );

    let ended = project.run(SCRIPT, &[&list, Path::new("--test"), Path::new("missing")], &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
}

/// The program that starts the shared servers.
fn servers() -> Target {
    Target {
        is_test: false,
        kind: "bin",
        ..Target::test("test-servers")
    }
}

#[test]
fn one_broker_is_lent_to_all_unless_there_is_one() {
    let project = Project::new();
    let binaries = [
        project.built(&servers(), "TEST_BROKER=lent \"$@\"; echo ended >servers"),
        project.built(&Target::test("asks"), "echo \"broker: $TEST_BROKER\""),
        project.built(&Target::test("fails"), "echo \"broker: $TEST_BROKER\"; exit 101"),
    ];
    let ended = run(&project, &binaries, "exit 0", &[]);
    assert_eq!(ended.code, Some(101), "{}", ended.output);
    assert_eq!(
        ended.output.matches("broker: lent\n").count(),
        2,
        "{}",
        ended.output
    );
    assert_eq!(project.read("servers"), "ended\n");

    std::fs::remove_file(project.root.join("servers")).expect("it was there");
    let ended = run(&project, &binaries, "exit 0", &[("TEST_BROKER", "given")]);
    assert_eq!(
        ended.output.matches("broker: given\n").count(),
        2,
        "{}",
        ended.output
    );
    assert!(!project.root.join("servers").exists());
}

#[test]
fn a_broker_that_does_not_start_fails_the_run() {
    let project = Project::new();
    let binaries = [
        project.built(&servers(), "echo 'RabbitMQ is not installed' >&2; exit 101"),
        project.built(&Target::test("passes"), PASSING),
    ];
    let ended = run(&project, &binaries, "exit 0", &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(
        ended.output.contains("RabbitMQ is not installed") && ended.output.contains("has started no server"),
        "{}",
        ended.output
    );
}

/// Each binary has its own file for the snapshots that it asserts; scripts/check-snapshots reads one combined
/// file.
#[test]
fn snapshots_of_all_binaries_are_noted() {
    let project = Project::new();
    let asserts = |name| {
        project.built(
            &Target::test(name),
            "basename \"$0\" >>\"$INSTA_SNAPSHOT_REFERENCES_FILE\"",
        )
    };
    let binaries = [asserts("one"), asserts("two")];
    let references = project.root.join("references");
    let path = references.display().to_string();
    let ended = run(
        &project,
        &binaries,
        "exit 0",
        &[("INSTA_SNAPSHOT_REFERENCES_FILE", &path)],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let text = project.read("references");
    let mut noted: Vec<&str> = text.lines().collect();
    noted.sort_unstable();
    assert_eq!(noted, ["one-0123456789abcdef", "two-0123456789abcdef"]);
    let files = std::fs::read_dir(&project.root).expect("the project");
    let left = files
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with("references"));
    assert_eq!(left.count(), 1);
}
