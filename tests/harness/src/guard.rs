//! A guard that outlives a killed test process: a small shell that ends the servers and removes the directories.

use std::fmt::Display;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

/// Reads what to guard from its standard input. That input ends when the test process ends, for whatever reason;
/// then every process group that is still guarded is killed and every directory is removed.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
groups=
while read -r verb subject; do
    case $verb in
    guard) groups="$groups $subject" ;;
    release)
        kept=
        for group in $groups; do
            [ "$group" = "$subject" ] || kept="$kept $group"
        done
        groups=$kept
        ;;
    directory) set -- "$@" "$subject" ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group"
done
[ $# -eq 0 ] || rm -rf -- "$@"
"#;

/// Ensures that the process group is killed when this test process ends.
pub(crate) fn guard_group(leader: u32) {
    tell("guard", leader);
}

/// Stops guarding a group whose leader has been waited for: its number may soon belong to another process.
pub(crate) fn release_group(leader: u32) {
    tell("release", leader);
}

/// A temporary directory that is removed when dropped, and also when the test process is killed.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes an empty directory that only this user can read.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("system-test-")
            .tempdir()
            .expect("a temporary directory can be made");
        tell("directory", directory.path().display());
        Self(directory)
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of `name` in the directory.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

fn tell(verb: &str, subject: impl Display) {
    static GUARD: OnceLock<Mutex<Child>> = OnceLock::new();
    let guard = GUARD.get_or_init(|| Mutex::new(start()));
    let mut guard = guard.lock().unwrap_or_else(PoisonError::into_inner);
    let told = guard
        .stdin
        .as_mut()
        .map(|input| writeln!(input, "{verb} {subject}"));
    assert!(
        matches!(told, Some(Ok(()))),
        "the guard of this test process does not listen: {told:?}"
    );
}

fn start() -> Child {
    Command::new("/bin/sh")
        .args(["-c", SCRIPT, "guard"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .spawn()
        .expect("/bin/sh starts")
}
