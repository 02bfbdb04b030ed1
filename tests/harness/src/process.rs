//! A program under test: its output, its signals and its exit.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, kill_process_group};

use crate::guard::{self, Scratch};
use crate::open_files;
use crate::output::{Output, Stream};

/// The `PATH` of every child, which it has in addition to the variables that it is given.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The interval at which to check whether a child has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// The number of output lines that a failing test shows.
const TAIL: usize = 60;

/// A running program. When dropped, it is killed together with its children; if the test is failing, the last lines
/// of its output are printed.
///
/// It leads a process group, and a temporary directory of its own is both its working directory and its `HOME`.
pub struct Process {
    name: String,
    pid: u32,
    child: Mutex<Child>,
    output: Arc<Output>,
    readers: Mutex<Vec<JoinHandle<()>>>,
    directory: Scratch,
}

impl Process {
    /// Starts `program` with `args`; its environment is `PATH`, `HOME`, `LANG=C.UTF-8` and `env`, with nothing
    /// inherited.
    pub fn spawn<A, K, V>(
        program: impl AsRef<Path>,
        args: impl IntoIterator<Item = A>,
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Self
    where
        A: AsRef<OsStr>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let program = program.as_ref();
        open_files::allow_many();
        let directory = Scratch::new();
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .envs([("PATH", PATH), ("LANG", "C.UTF-8")])
            .env("HOME", directory.path())
            .envs(env)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}{}", program.display(), crate::SETUP));
        let pid = child.id();
        guard::guard_group(pid);
        let output = Arc::new(Output::default());
        let mut readers = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            readers.push(Output::collect(&output, Stream::Stdout, pipe));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.push(Output::collect(&output, Stream::Stderr, pipe));
        }
        Self {
            name: program
                .file_name()
                .unwrap_or(program.as_os_str())
                .to_string_lossy()
                .into_owned(),
            pid,
            child: Mutex::new(child),
            output,
            readers: Mutex::new(readers),
            directory,
        }
    }

    /// The process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The working directory of the process.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// All lines so far, from standard output and standard error in order of arrival.
    pub fn lines(&self) -> Vec<String> {
        self.output
            .locked()
            .iter()
            .map(|line| line.text.clone())
            .collect()
    }

    /// The lines of standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.output.of(Stream::Stdout)
    }

    /// The lines of standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        self.output.of(Stream::Stderr)
    }

    /// Waits for the first line that contains `text` and returns it; panics if the program ends without printing it
    /// or `timeout` passes.
    pub async fn wait_for_line(&self, text: &str, timeout: Duration) -> String {
        self.wait_for_lines(text, 1, timeout).await.remove(0)
    }

    /// Waits for the first `count` lines that contain `text` and returns them, as in [`Process::wait_for_line`].
    pub async fn wait_for_lines(&self, text: &str, count: usize, timeout: Duration) -> Vec<String> {
        let deadline = Instant::now() + timeout;
        loop {
            let ended = self.try_exit();
            let found = self.output.matching(text, count);
            if found.len() >= count {
                return found;
            }
            if let Some(status) = ended {
                panic!(
                    "{} ended ({status}) without {count} line(s) {text:?}:\n{}",
                    self.name,
                    self.tail()
                );
            }
            assert!(
                Instant::now() < deadline,
                "{} printed {} of {count} line(s) {text:?} within {timeout:?}:\n{}",
                self.name,
                found.len(),
                self.tail()
            );
            // The end of the program does not change its output, so check for it from time to time.
            let _ = tokio::time::timeout(PAUSE * 4, self.output.changed.notified()).await;
        }
    }

    /// Sends a signal to the process itself, unless it has already ended.
    pub fn signal(&self, signal: Signal) {
        let mut child = self.child();
        if child.try_wait().is_ok_and(|status| status.is_none()) {
            kill_process(pid(self.pid), signal)
                .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
        }
    }

    /// Sends SIGKILL to the process and its children, and waits until the process has ended.
    pub fn kill(&self) -> ExitStatus {
        let mut child = self.child();
        if child.try_wait().is_ok_and(|status| status.is_none()) {
            // It is not an error if all members of the group have just ended.
            let _ = kill_process_group(pid(self.pid), Signal::KILL);
        }
        let status = child
            .wait()
            .unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name));
        drop(child);
        self.ended();
        status
    }

    /// The exit status, or `None` while the process is running.
    pub fn try_exit(&self) -> Option<ExitStatus> {
        let status = self
            .child()
            .try_wait()
            .unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name))?;
        self.ended();
        Some(status)
    }

    /// Waits for the process to end, with all of its output read; panics if `timeout` passes.
    pub async fn wait_exit(&self, timeout: Duration) -> ExitStatus {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.try_exit() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} did not end within {timeout:?}:\n{}",
                self.name,
                self.tail()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The last lines of the output, for use in messages.
    pub fn tail(&self) -> String {
        let lines = self.output.locked();
        let start = lines.len().saturating_sub(TAIL);
        let lines = lines[start..]
            .iter()
            .map(|line| format!("  {}| {}", self.name, line.text));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cleans up after the process has been waited for: its id must not be signalled any more, and its pipes must
    /// reach their end.
    fn ended(&self) {
        let readers = std::mem::take(&mut *self.readers.lock().unwrap_or_else(PoisonError::into_inner));
        if readers.is_empty() {
            return;
        }
        // Any remaining members of the group would keep the pipes open.
        let _ = kill_process_group(pid(self.pid), Signal::KILL);
        guard::release_group(self.pid);
        for reader in readers {
            let _ = reader.join();
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "belongs to the output of the test that fails")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!(
                "the end of the output of {} (process {}):\n{}",
                self.name,
                self.pid,
                self.tail()
            );
        }
    }
}

fn pid(number: u32) -> Pid {
    i32::try_from(number)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process number of the system")
}
