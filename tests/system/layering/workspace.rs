//! The workspace as reported by cargo and the file system.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A dependency of one package on another.
pub(super) struct Dependency {
    pub(super) of: String,
    pub(super) on: String,
    pub(super) is_for_tests: bool,
    pub(super) is_optional: bool,
}

/// The direct dependencies of every member of the workspace, of every kind.
pub(super) fn dependencies() -> Vec<Dependency> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let is_for_tests = dependency["kind"] == "dev";
            found.push(Dependency {
                of: text(&package["name"]),
                on: text(&dependency["name"]),
                is_for_tests,
                is_optional: dependency["optional"] == true,
            });
        }
    }
    assert!(!found.is_empty(), "{metadata}");
    found
}

pub(super) fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--frozen", "--color", "never"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Every line of the sources in a directory, with its file's path from the root. Tests are excluded, both
/// those at the end of a file and those in a file or folder named `tests`.
pub(super) fn lines_of(directory: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (path, text) in sources(directory) {
        if path.ends_with("/tests.rs") || path.contains("/tests/") {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        lines.extend(code.lines().map(|line| (path.clone(), line.to_owned())));
    }
    lines
}

/// The sources in a directory, each under its path from the root.
pub(super) fn sources(directory: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root().join(directory)];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(from_root(&path), fs::read_to_string(&path).unwrap());
        }
    }
    assert!(!found.is_empty(), "{directory} has no sources");
    found
}

/// The root file of every library and program in the `src` folder of every package.
pub(super) fn roots() -> Vec<String> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let targets = packages
        .iter()
        .flat_map(|package| package["targets"].as_array().unwrap());
    let mut found: Vec<String> = targets
        .map(|target| from_root(Path::new(target["src_path"].as_str().unwrap())))
        .filter(|path| path.contains("/src/"))
        .collect();
    found.sort_unstable();
    assert!(!found.is_empty(), "{metadata}");
    found
}

fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}
