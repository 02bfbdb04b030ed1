//! Runs docker and compose.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// One of the two generations of compose; scripts/setup-compose prepares both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compose {
    /// Version 1.29, written in Python.
    V1,
    /// The docker plugin.
    V2,
}

impl Compose {
    pub(crate) const BOTH: [Self; 2] = [Self::V1, Self::V2];

    /// Runs compose on the project's docker-compose.yml. Of the environment, it sees only these variables.
    pub(crate) fn run(self, variables: &BTreeMap<&str, String>, arguments: &[&str]) -> Output {
        let program = root().join(match self {
            Self::V1 => ".cache/compose/v1",
            Self::V2 => ".cache/compose/v2",
        });
        assert!(
            program.exists(),
            "{} is not there: run `make test-compose`",
            program.display()
        );
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(root())
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| {
                ["PATH", "HOME", "DOCKER_HOST"]
                    .iter()
                    .any(|kept| name == OsStr::new(kept))
            }))
            .envs(variables);
        output(&mut command)
    }

    /// Does the same, and returns the output; panics if the command fails.
    pub(crate) fn done(self, variables: &BTreeMap<&str, String>, arguments: &[&str]) -> String {
        let output = self.run(variables, arguments);
        succeeded(&format!("{self:?} {arguments:?}"), &output)
    }
}

/// Runs docker with these arguments and returns its output; panics if it fails.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = output(Command::new("docker").args(arguments));
    succeeded(&format!("docker {arguments:?}"), &output)
}

/// Does the same, with this text on docker's standard input.
pub(crate) fn docker_reads(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker can be started");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    succeeded(&format!("docker {arguments:?}"), &output)
}

fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn succeeded(what: &str, output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The folder of docker-compose.yml.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
