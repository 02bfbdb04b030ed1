//! The kernel's figures for a program under test, and suspending and resuming it.

use std::time::{Duration, Instant};

use crate::process::{Process, Signal};

/// The interval at which to check whether the process has stopped.
const PAUSE: Duration = Duration::from_millis(5);

/// The longest time that a process may take to stop.
const FREEZE: Duration = Duration::from_mins(1);

impl Process {
    /// The resident anonymous memory of the process in KiB: stacks and heap. The pages of its program file are not counted,
    /// because how many of them are resident depends on what has run so far and on the page cache.
    ///
    /// # Panics
    ///
    /// If the process has ended.
    pub fn anonymous_memory(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process lives");
        let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = anonymous.and_then(|text| text.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.parse().ok()).expect("RssAnon in kB")
    }

    /// The number of file descriptors that the process has open.
    ///
    /// # Panics
    ///
    /// If the process has ended.
    pub fn open_files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        files.expect("the process lives").count()
    }

    /// Suspends the process until [`Process::thaw`] is called. When this returns, none of its threads is running any more:
    /// on a busy machine, some continue for a while after the signal.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let deadline = Instant::now() + FREEZE;
        while !self.is_stopped() {
            assert!(
                Instant::now() < deadline,
                "process {} still runs after SIGSTOP",
                self.pid()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Resumes the process after [`Process::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the process lives");
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state follows the name, which may contain any characters. A thread that has just ended has no state.
            stat.rsplit(") ")
                .next()
                .is_none_or(|state| !state.starts_with(['R', 'S', 'D']))
        })
    }
}
