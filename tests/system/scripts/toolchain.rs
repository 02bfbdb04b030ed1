//! scripts/check-toolchain: one clear sentence instead of an error from a cargo that does not understand the
//! manifest.

use std::path::Path;

use super::{Ended, Project};
use crate::documents::read;

const SCRIPT: &str = "scripts/check-toolchain";

fn wanted() -> String {
    let toolchain = read("rust-toolchain.toml");
    let (_, rest) = toolchain.split_once("channel = \"").expect("a channel");
    rest.split_once('"').expect("its end").0.to_owned()
}

/// Asserts that the sentence names the required version and how to get it.
fn assert_refused(ended: &Ended, found: &str) {
    let output = &ended.output;
    assert_eq!(ended.code, Some(1), "{output}");
    assert!(output.contains(&format!("needs Rust {}", wanted())), "{output}");
    assert!(output.contains("https://rustup.rs"), "{output}");
    assert!(output.contains(found), "{output}");
}

#[test]
fn an_old_cargo_is_refused_with_its_version() {
    let project = Project::new();
    let cargo = project.cargo("1.65.0", "echo 'error: expected a boolean' >&2; exit 101");
    assert_refused(&project.run(SCRIPT, &[&cargo], &[]), "is 1.65.0");
}

#[test]
fn a_missing_cargo_is_named() {
    let project = Project::new();
    let missing = Path::new("/nowhere/cargo");
    assert_refused(&project.run(SCRIPT, &[missing], &[]), "`/nowhere/cargo`");
}

#[test]
fn a_toolchain_that_cannot_be_fetched_is_said_with_the_reason() {
    let project = Project::new();
    let cargo = project.script("cargo", "echo 'error: could not download' >&2; exit 1");
    let ended = project.run(SCRIPT, &[&cargo], &[]);
    assert_refused(&ended, "error: could not download");
}

#[test]
fn the_wanted_version_and_newer_ones_will_do() {
    let project = Project::new();
    for version in [wanted().as_str(), "1.100.0-nightly", "2.0.0"] {
        let cargo = project.cargo(version, "exit 1");
        let ended = project.run(SCRIPT, &[&cargo], &[]);
        assert_eq!(ended.code, Some(0), "{version}: {}", ended.output);
    }
}

#[test]
fn a_missing_c_compiler_is_named() {
    let project = Project::new();
    let cargo = project.cargo(&wanted(), "exit 1");
    let ended = project.run(SCRIPT, &[&cargo], &[("CC", "no-such-cc")]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("C compiler"), "{}", ended.output);
    assert!(ended.output.contains("`no-such-cc`"), "{}", ended.output);
}

#[test]
fn readme_names_the_same_rust() {
    let wanted = wanted();
    let (minor, _) = wanted.rsplit_once('.').expect("three numbers");
    assert!(read("README.md").contains(&format!("Rust {minor}")), "{minor}");
    assert!(read("Cargo.toml").contains(&format!("rust-version = \"{minor}\"")));
}
