//! Where log lines go: a place that may be full, slow or gone, which never ends or holds up the program.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tracing_subscriber::fmt::MakeWriter;

use super::standard_error::StandardError;

/// How long a line waits for a reader that is behind. After that, lines are dropped until the reader has caught up.
const PATIENCE: Duration = Duration::from_millis(100);

/// How much a pipe or socket that is ready takes at once without blocking: `PIPE_BUF`, in bytes.
const CHUNK: usize = 4096;

/// Writes log lines to `W`. A line that cannot be written (the reader is gone or stands still, the disk is full) is
/// counted and dropped; the number is logged once when writing works again. Clones write to the same place.
#[derive(Debug)]
pub struct LogWriter<W> {
    out: Arc<W>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Lines that could not be written, and why the last of them could not.
    dropped: u64,
    why: String,
    report: Report,
    /// Whether the last line was cut off in the middle.
    is_torn: bool,
    /// Whether the reader has used up its time.
    is_behind: bool,
}

/// The line that reports what was dropped.
#[derive(Debug, Default, PartialEq, Eq)]
enum Report {
    /// Nobody writes it.
    #[default]
    Idle,
    /// It is under way.
    Begun,
    /// It is written.
    Written,
}

impl LogWriter<StandardError> {
    /// Standard error.
    pub fn stderr() -> Self {
        Self::new(StandardError::open())
    }
}

impl<W> LogWriter<W> {
    /// Lines go to `out`, each with a `write` of its own.
    pub fn new(out: W) -> Self {
        Self {
            out: Arc::new(out),
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: AsFd> LogWriter<W>
where
    for<'w> &'w W: Write,
{
    /// Writes a line, or counts it as dropped.
    fn line(&self, line: &[u8]) {
        let mut state = self.state();
        if let Err(error) = put(&self.out, &mut state, line) {
            state.dropped += 1;
            state.why = error.to_string();
            return;
        }
        match state.report {
            Report::Idle if state.dropped > 0 => self.report(state),
            Report::Idle => {}
            Report::Begun | Report::Written => state.report = Report::Written,
        }
    }

    /// Logs how many lines are missing. That line comes here again, so the lock is released meanwhile.
    fn report(&self, mut state: MutexGuard<'_, State>) {
        let (dropped, why) = (state.dropped, state.why.clone());
        state.report = Report::Begun;
        drop(state);
        tracing::error!("{dropped} log lines before this one could not be written and are lost: {why}");
        let mut state = self.state();
        if std::mem::take(&mut state.report) == Report::Written {
            state.dropped -= dropped;
        }
    }
}

/// Writes the whole line. Waits no longer than [`PATIENCE`] for a reader, once.
fn put<W: AsFd>(out: &W, state: &mut State, line: &[u8]) -> io::Result<()>
where
    for<'w> &'w W: Write,
{
    if state.is_torn {
        put_bytes(out, state, b"\n").map_err(|(_, error)| error)?;
        state.is_torn = false;
    }
    put_bytes(out, state, line).map_err(|(written, error)| {
        state.is_torn |= written > 0;
        error
    })
}

/// Writes all bytes, or returns how many it has written.
fn put_bytes<W: AsFd>(mut out: &W, state: &mut State, bytes: &[u8]) -> Result<(), (usize, io::Error)>
where
    for<'w> &'w W: Write,
{
    let patience = if state.is_behind { Duration::ZERO } else { PATIENCE };
    let deadline = Instant::now() + patience;
    let mut written = 0;
    while written < bytes.len() {
        let chunk = &bytes[written..bytes.len().min(written + CHUNK)];
        state.is_behind = !is_writable(out.as_fd(), deadline);
        if state.is_behind {
            return Err((written, stands_still()));
        }
        match out.write(chunk) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(taken) => written += taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                state.is_behind = Instant::now() >= deadline;
                if state.is_behind {
                    return Err((written, stands_still()));
                }
            }
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

fn stands_still() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "what reads the log stands still")
}

/// Whether a write will not block; waits for that until `deadline`. A place that cannot be asked answers the write itself.
fn is_writable(fd: BorrowedFd<'_>, deadline: Instant) -> bool {
    let mut waiting = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut waiting, Some(&Timespec::try_from(left).unwrap_or_default())) {
            Ok(ready) => return ready > 0,
            // A signal, such as the one that the line is about.
            Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

impl<W> Clone for LogWriter<W> {
    fn clone(&self) -> Self {
        Self {
            out: Arc::clone(&self.out),
            state: Arc::clone(&self.state),
        }
    }
}

impl<W: AsFd> Write for LogWriter<W>
where
    for<'w> &'w W: Write,
{
    /// Takes all of `line`, whatever becomes of it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: AsFd> MakeWriter<'_> for LogWriter<W>
where
    for<'w> &'w W: Write,
{
    type Writer = Self;

    fn make_writer(&self) -> Self::Writer {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};
    use std::io::Read as _;
    use std::time::Instant;

    const LINE: &[u8] = b"a line of some length\n";

    #[test]
    fn lines_for_a_reader_that_is_gone_are_counted() {
        let (reader, writer) = io::pipe().unwrap();
        let log = LogWriter::new(writer);
        log.line(LINE);
        assert_eq!(log.state().dropped, 0);
        drop(reader);
        log.line(LINE);
        log.line(LINE);
        assert_eq!(log.state().dropped, 2);
        assert!(log.state().why.contains("Broken pipe"), "{:?}", log.state());
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let log = LogWriter::new(full);
        log.line(LINE);
        assert_eq!(log.state().dropped, 1);
    }

    #[test]
    fn a_reader_that_stands_still_is_waited_for_once() {
        let (mut reader, writer) = io::pipe().unwrap();
        let log = LogWriter::new(writer);
        let mut lines = 0_u64;
        while log.state().dropped == 0 {
            log.line(LINE);
            lines += 1;
        }
        // With the full patience for each of these, this would take three hours.
        let begin = Instant::now();
        for _ in 0..100_000 {
            log.line(LINE);
        }
        assert!(begin.elapsed() < Duration::from_mins(2), "{:?}", begin.elapsed());
        assert_eq!(log.state().dropped, 100_001);

        let mut taken = vec![0; usize::try_from(lines - 1).unwrap() * LINE.len()];
        reader.read_exact(&mut taken).unwrap();
        log.line(LINE);
        assert_eq!(log.state().dropped, 100_001, "it is written");
        let mut next = vec![0; LINE.len()];
        reader.read_exact(&mut next).unwrap();
        assert_eq!(next, LINE);
    }

    #[test]
    fn a_line_longer_than_a_pipe_takes_does_not_block() {
        let (mut reader, writer) = io::pipe().unwrap();
        let log = LogWriter::new(writer);
        let mut endless = vec![b'x'; 1024 * 1024];
        endless.push(b'\n');
        log.line(&endless);
        assert_eq!(log.state().dropped, 1);
        assert!(log.state().is_torn);
        let mut taken = vec![0; CHUNK];
        loop {
            reader.read_exact(&mut taken).unwrap();
            let dropped = log.state().dropped;
            log.line(LINE);
            if log.state().dropped == dropped {
                break;
            }
        }
        drop(log);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        let end = [b"x\n", LINE].concat();
        assert!(
            rest.ends_with(&end),
            "the cut line does not run into the next one"
        );
    }

    #[test]
    fn the_report_is_itself_a_line_of_the_log() {
        let directory = std::env::temp_dir().join(format!("log-writer-{}", std::process::id()));
        let file = File::create(&directory).unwrap();
        let log = LogWriter::new(file);
        log.state().dropped = 3;
        log.line(LINE);
        // Without a subscriber nobody writes the report: the lines are still to be reported.
        assert_eq!(log.state().dropped, 3);
        log.state().report = Report::Begun;
        log.line(b"3 log lines are lost\n");
        assert_eq!(log.state().report, Report::Written);
        std::fs::remove_file(directory).unwrap();
    }
}
