//! The documents name only what exists: files, functions, decisions.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
const MIGRATION: &str = "docs/MIGRATION.md";
const INDEX: &str = "docs/adr/README.md";

/// The text of a file of the project.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines < 150, "README.md has {lines} lines");
}

#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for document in documents() {
        let folder = Path::new(&document).parent().unwrap();
        for link in between(&read(&document), "](", ")") {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(root().join(folder).join(target).exists(), "{document}: {link}");
            links += 1;
        }
    }
    assert!(links > 100, "{links} links");
}

#[test]
fn named_paths_exist() {
    let mut paths = 0;
    for document in documents() {
        for name in between(&read(&document), "`", "`") {
            if is_path(&name) {
                assert!(root().join(&name).exists(), "{document}: {name}");
                paths += 1;
            }
        }
    }
    assert!(paths > 50, "{paths} paths");
}

/// Checks the walkthrough's rows: `| step | file | function or type | what happens |`.
#[test]
fn the_walkthrough_names_functions_that_are_there() {
    let architecture = read(ARCHITECTURE);
    let mut steps = 0;
    for row in rows(&architecture).filter(|row| row.len() == 4) {
        let (files, names) = (between(row[1], "`", "`"), between(row[2], "`", "`"));
        let [file] = files.as_slice() else { continue };
        let source = read(file);
        assert!(!names.is_empty(), "{file}: no function");
        for name in names {
            let last = name.rsplit("::").next().unwrap();
            let defined = ["fn", "struct", "enum", "trait"]
                .iter()
                .any(|kind| source.contains(&format!("{kind} {last}")));
            assert!(defined, "{file} has no {name}");
            steps += 1;
        }
    }
    assert!(steps > 20, "{steps} steps");
}

#[test]
fn decisions_are_numbered_indexed_and_complete() {
    let index = read(INDEX);
    for (position, file) in decisions().iter().enumerate() {
        let number = position + 1;
        assert!(
            file.starts_with(&format!("{number:04}-")),
            "{file} should be number {number}"
        );
        let text = read(&format!("docs/adr/{file}"));
        let title = text
            .lines()
            .next()
            .unwrap()
            .strip_prefix(&format!("# {number}. "))
            .expect(file);
        assert!(
            index.contains(&format!("| {number} | [{title}]({file}) |\n")),
            "{file} is not in {INDEX}"
        );
        let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(
            headings,
            ["## Context", "## Decision", "## Consequences"],
            "{file}"
        );
        assert!(text.lines().count() <= 40, "{file} is long");
    }
}

#[test]
fn every_deviation_has_its_decision() {
    let decisions = decisions();
    let mut deviations = 0;
    for row in rows(&read(MIGRATION)).filter(|row| row.len() == 5 && row[0] != "case" && row[0] != "---") {
        let link = between(row[4], "](adr/", ")");
        let [file] = link.as_slice() else {
            panic!("no decision: {row:?}")
        };
        assert!(decisions.contains(file), "{file}: {row:?}");
        let number: usize = file[..4].parse().unwrap();
        assert!(row[4].starts_with(&format!("[{number}]")), "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        deviations += 1;
    }
    assert!(deviations > 30, "{deviations} deviations");
}

/// Every document except the contract, which is a record.
fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "docs/contract/README.md".to_owned()];
    for folder in ["docs", "docs/adr"] {
        found.extend(files(folder).iter().map(|file| format!("{folder}/{file}")));
    }
    found
}

fn decisions() -> Vec<String> {
    files("docs/adr")
        .into_iter()
        .filter(|file| file != "README.md")
        .collect()
}

fn files(folder: &str) -> BTreeSet<String> {
    fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| path.file_name().unwrap().display().to_string())
        .collect()
}

/// Whether a code span is a path of this project, rather than a URL's path or a pattern.
fn is_path(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    plain && name.contains('/') && !first.is_empty() && first != "target" && root().join(first).is_dir()
}

/// The cells of each table row.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.map(|line| line.split(" | ").map(str::trim).collect())
}

fn between(text: &str, open: &str, close: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inside, left)) = after.split_once(close) else {
                break;
            };
            found.push(inside.to_owned());
            rest = left;
        }
    }
    found
}

/// The project's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
