//! `make help`, and the messages of `make run` before it builds.

use std::collections::BTreeSet;
use std::process::Command;

use super::{Ended, Project, ended};

/// Targets that are not for users but are used by the others.
const PARTS: [&str; 2] = ["toolchain", "released"];

fn make(project: &Project, arguments: &[&str]) -> Ended {
    let mut command = Command::new("make");
    // A make around this test may have set these variables for itself.
    for variable in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    ended(command.args(arguments).current_dir(&project.root))
}

#[test]
fn make_alone_lists_every_command() {
    let project = Project::new();
    let alone = make(&project, &[]);
    assert_eq!(alone.code, Some(0), "{}", alone.output);
    assert_eq!(alone.output, make(&project, &["help"]).output);
    let listed: BTreeSet<&str> = alone
        .output
        .lines()
        .filter_map(|line| line.strip_prefix("  make ")?.split_whitespace().next())
        .collect();
    let makefile = project.read("Makefile");
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY:"));
    let targets: BTreeSet<&str> = phony
        .expect("phony targets")
        .split_whitespace()
        .filter(|target| !PARTS.contains(target))
        .collect();
    assert_eq!(listed, targets);
}

#[test]
fn the_first_run_says_what_takes_so_long_and_later_ones_do_not() {
    let project = Project::new();
    let body = "mkdir -p target/release; touch target/release/standalone; chmod +x target/release/standalone; echo \"$@\"";
    project.cargo("99.0.0", body);
    let run = || make(&project, &["run", "CARGO=./cargo", "TRY_PROFILE=release"]);
    let first = run();
    assert_eq!(first.code, Some(0), "{}", first.output);
    let (said, built) = first.output.split_once("run --profile").expect("cargo is called");
    assert!(
        said.contains("about a minute") && said.contains("builds"),
        "{said}"
    );
    assert!(built.contains("-p standalone"), "{built}");
    let second = run();
    assert_eq!(second.code, Some(0), "{}", second.output);
    assert!(!second.output.contains("minute"), "{}", second.output);
}

#[test]
fn an_old_cargo_is_refused_before_it_is_used() {
    let project = Project::new();
    project.cargo("1.63.0", "echo it was used");
    for target in ["run", "demo", "test", "lint", "dist"] {
        let refused = make(&project, &[target, "CARGO=./cargo"]);
        assert_eq!(refused.code, Some(2), "{target}: {}", refused.output);
        assert!(
            refused.output.contains("needs Rust"),
            "{target}: {}",
            refused.output
        );
        assert!(
            !refused.output.contains("it was used"),
            "{target}: {}",
            refused.output
        );
    }
}

#[test]
fn dist_holds_the_four_programs_and_a_worker_of_these_features() {
    let project = Project::new();
    project.cargo(
        "99.0.0",
        "mkdir -p target/dist; for p in public-api acl-service worker standalone; do echo \"$*\" >target/dist/$p; done",
    );
    let made = |arguments: &[&str]| {
        let dist = make(&project, &[&["dist", "CARGO=./cargo"], arguments].concat());
        assert_eq!(dist.code, Some(0), "{}", dist.output);
        for program in ["public-api", "acl-service", "standalone"] {
            assert!(project.root.join("dist").join(program).exists(), "{program}");
        }
        project.read("dist/worker")
    };
    // The last call of cargo builds the worker.
    let alone = "build --locked --profile dist -p worker --bin worker --no-default-features --features ";
    assert_eq!(made(&[]), format!("{alone}default\n"));
    assert_eq!(made(&["WORKER_FEATURES=servers"]), format!("{alone}servers\n"));
}
