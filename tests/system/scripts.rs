//! The Makefile's commands before and around cargo: their output and exit codes. They run on a copy of the
//! scripts, in a folder with a space in its name. The test's own scripts replace set-up and cargo.

mod ci;
mod makefile;
mod run_tests;
mod summary;
mod test_run;
mod toolchain;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::documents::root;

/// A copy of the files that make up the commands, without sources.
struct Project {
    _place: TempDir,
    root: PathBuf,
}

/// The target from which cargo has built a program.
struct Target {
    kind: &'static str,
    name: &'static str,
    /// Whether it is built with a test harness.
    is_test: bool,
    /// Whether `cargo test` runs it by default.
    is_usual: bool,
}

impl Target {
    const fn test(name: &'static str) -> Self {
        Self {
            kind: "test",
            name,
            is_test: true,
            is_usual: true,
        }
    }
}

/// The file in which a test puts the list of programs that its cargo has built.
const LIST: &str = "built.json";

/// The result of a command.
struct Ended {
    code: Option<i32>,
    /// Standard output and error.
    output: String,
}

impl Project {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary folder");
        let project = Self {
            root: place.path().join("a project"),
            _place: place,
        };
        for file in [
            "Makefile",
            "rust-toolchain.toml",
            ".ci/run",
            "scripts/check-snapshots",
            "scripts/check-toolchain",
            "scripts/run-tests",
            "scripts/test",
            "scripts/test-summary",
        ] {
            let copy = project.root.join(file);
            fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
            fs::copy(root().join(file), copy).expect(file);
        }
        project.script("scripts/setup", "echo set-up is there");
        project.script("scripts/setup-versions", "echo Celery $1 is there");
        project
    }

    /// Writes a shell script into the project.
    fn script(&self, path: &str, body: &str) -> PathBuf {
        let script = self.root.join(path);
        fs::write(&script, format!("#!/bin/sh\n{body}\n")).expect(path);
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect(path);
        script
    }

    /// Writes a cargo that reports this version and runs `body` for everything else.
    fn cargo(&self, version: &str, body: &str) -> PathBuf {
        let body = format!(
            "if [ \"$1\" = --version ]; then echo 'cargo {version} (0123456 2026-01-01)'; exit; fi\n{body}"
        );
        self.script("cargo", &body)
    }

    /// Writes a shell script in place of a built program, and returns the line of cargo's list about it.
    fn built(&self, target: &Target, body: &str) -> String {
        let name = target.name;
        let path = format!("target/debug/deps/{name}-0123456789abcdef");
        fs::create_dir_all(self.root.join("target/debug/deps")).expect("a folder");
        let executable = self.script(&path, body);
        let source = match target.kind {
            "test" => format!("tests/{name}.rs"),
            "lib" => "src/lib.rs".to_owned(),
            _ => format!("src/bin/{name}.rs"),
        };
        json!({
            "reason": "compiler-artifact",
            "package_id": format!("path+file://{}#clock@0.1.0", self.root.display()),
            "manifest_path": self.root.join("Cargo.toml"),
            "target": {
                "kind": [target.kind],
                "name": name,
                "src_path": self.root.join(source),
                "test": target.is_usual,
            },
            "profile": { "test": target.is_test },
            "executable": executable,
        })
        .to_string()
    }

    /// Writes cargo's list.
    fn list(&self, lines: &[String]) {
        fs::write(self.root.join(LIST), lines.join("\n")).expect("a list");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).expect(path)
    }

    /// Runs a program of the project from another folder, in a locale that does not exist and an unusual time
    /// zone.
    fn run(&self, program: &str, arguments: &[&Path], variables: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(self.root.join(program));
        command
            .args(arguments)
            .current_dir("/")
            .env("LC_ALL", "xx_YY.ISO-8859-15")
            .env("TZ", "Pacific/Chatham")
            .env_remove("CARGO_TARGET_DIR")
            // A run around this test may have set these variables for itself.
            .env_remove("TEST_BINARIES")
            .env_remove("TEST_BROKER")
            .env_remove("TEST_JOBS")
            .envs(variables.iter().copied());
        ended(&mut command)
    }
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        code: output.status.code(),
        output: text(&output.stdout) + &text(&output.stderr),
    }
}
