//! The destination of log lines: it may be full, slow or gone, but it never ends or delays the program.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// The maximum number of bytes that wait for a slow reader. Lines beyond that are dropped until it has caught up.
const LIMIT: usize = 1024 * 1024;

/// The capacity that a buffer keeps when it is empty, in bytes.
const KEPT: usize = 64 * 1024;

/// The minimum interval between two lines that report lost ones, so that a slow reader does not get even more lines.
const REPORT_AGAIN: Duration = Duration::from_secs(5);

/// Formats a text as a line of the log.
type Report = fn(&str) -> String;

/// Writes lines on a separate thread, because only that thread may block. A line that cannot be written (the reader is
/// gone or stalled, the disk is full) is counted and dropped; the number is logged when writing works again. Clones
/// write to the same destination.
#[derive(Debug, Clone)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    backlog: Mutex<Backlog>,
    /// Notified when there is something to write.
    filled: Condvar,
    /// Notified when everything has been written, or writing has failed.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct Backlog {
    waiting: Vec<u8>,
    is_writing: bool,
    /// The number of lines that could not be written, and the reason for the last of them.
    dropped: u64,
    why: String,
}

/// The state of the writing thread.
struct Place<W> {
    out: W,
    report: Report,
    reported: Option<Instant>,
    /// The last line was cut off midway.
    is_torn: bool,
}

static STDERR: OnceLock<LogWriter> = OnceLock::new();
static STDOUT: OnceLock<LogWriter> = OnceLock::new();
static ALL: Mutex<Vec<LogWriter>> = Mutex::new(Vec::new());

impl LogWriter {
    /// Returns the writer of standard error, the same for all callers. `report` formats the line about lost ones; the
    /// first call determines it.
    pub fn stderr(report: Report) -> Self {
        STDERR.get_or_init(|| Self::new(io::stderr(), report)).clone()
    }

    /// Returns the writer of standard output, for programs that print there while they work.
    pub(super) fn stdout() -> Self {
        STDOUT
            .get_or_init(|| Self::new(io::stdout(), |text| format!("{text}\n")))
            .clone()
    }

    /// Creates a writer for any other destination.
    pub fn new(out: impl Write + Send + 'static, report: Report) -> Self {
        let shared = Arc::new(Shared::default());
        let place = Place {
            out,
            report,
            reported: None,
            is_torn: false,
        };
        let writing = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log".to_owned());
        // Without a thread nothing is written, and lines beyond the limit are dropped. That is better than not
        // starting.
        let _started = thread.spawn(move || place.write_all(&writing));
        let writer = Self { shared };
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(writer.clone());
        writer
    }

    /// Queues a line, or counts it as dropped. Never waits for the reader.
    pub fn line(&self, line: &[u8]) {
        let mut backlog = self.shared.backlog();
        if backlog.waiting.len() + line.len() > LIMIT {
            backlog.dropped += 1;
            "the reader of the log is stalled".clone_into(&mut backlog.why);
            return;
        }
        backlog.waiting.extend_from_slice(line);
        drop(backlog);
        self.shared.filled.notify_one();
    }

    /// Waits until everything is written, but not beyond `deadline`.
    fn flush_until(&self, deadline: Instant) {
        let mut backlog = self.shared.backlog();
        while backlog.is_writing || !backlog.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.emptied.wait_timeout(backlog, left);
            backlog = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything is written to all destinations, but no longer than this.
    pub(super) fn flush_all(within: Duration) {
        let deadline = Instant::now() + within;
        let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for writer in all {
            writer.flush_until(deadline);
        }
    }
}

impl Shared {
    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> Place<W> {
    fn write_all(mut self, shared: &Shared) {
        let mut batch = Vec::new();
        loop {
            let mut backlog = shared.backlog();
            while backlog.waiting.is_empty() {
                backlog = shared
                    .filled
                    .wait(backlog)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut backlog.waiting, &mut batch);
            backlog.is_writing = true;
            let reported = self.report(&backlog, &mut batch);
            drop(backlog);

            let lost = self.write(&batch);
            batch.clear();
            batch.shrink_to(KEPT);
            let mut backlog = shared.backlog();
            match lost {
                Ok(()) if reported > 0 => {
                    backlog.dropped -= reported;
                    self.reported = Some(Instant::now());
                }
                Ok(()) => {}
                Err((lines, why)) => {
                    backlog.dropped += lines - u64::from(reported > 0).min(lines);
                    backlog.why = why.to_string();
                }
            }
            backlog.is_writing = false;
            shared.emptied.notify_all();
        }
    }

    /// Adds the line about lost ones if it is due. Returns how many it reports.
    fn report(&self, backlog: &Backlog, batch: &mut Vec<u8>) -> u64 {
        let is_due = self.reported.is_none_or(|last| last.elapsed() >= REPORT_AGAIN);
        if backlog.dropped == 0 || !is_due {
            return 0;
        }
        let text = format!(
            "{} log lines before this one could not be written and are lost: {}",
            backlog.dropped, backlog.why
        );
        batch.extend_from_slice((self.report)(&text).as_bytes());
        backlog.dropped
    }

    /// Writes everything, or returns how many lines were not completely written.
    fn write(&mut self, batch: &[u8]) -> Result<(), (u64, io::Error)> {
        let mut rest = batch;
        let mut newline: &[u8] = if self.is_torn { b"\n" } else { b"" };
        while !newline.is_empty() || !rest.is_empty() {
            let next = if newline.is_empty() {
                &mut rest
            } else {
                &mut newline
            };
            match self.out.write(next) {
                Ok(written) if written > 0 => {
                    self.is_torn = next.get(written - 1) != Some(&b'\n');
                    *next = next.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                failed => {
                    let error = failed.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                    let lines = rest.split(|byte| *byte == b'\n').count() - 1;
                    return Err((u64::try_from(lines).unwrap_or(u64::MAX), error));
                }
            }
        }
        // Buffered bytes (standard output has a buffer) must be sent with their batch.
        self.out.flush().map_err(|error| (0, error))
    }
}

impl Write for LogWriter {
    /// Always accepts the whole line, even if it is dropped.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self::Writer {
        self.clone()
    }
}

#[cfg(test)]
mod tests;
