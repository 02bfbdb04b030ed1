//! Where log lines go: a place that may be full, slow or gone, which never ends or holds up the program.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes wait for a reader that is behind. Lines beyond that are dropped until it has caught up.
const LIMIT: usize = 1024 * 1024;

/// What a buffer keeps of its memory once it is empty, in bytes.
const KEPT: usize = 64 * 1024;

/// Between two lines that report lost ones: a reader that stays behind is not given more of them.
const REPORT_AGAIN: Duration = Duration::from_secs(5);

/// Makes a line of the log, in the log's own format, of a text.
type Report = fn(&str) -> String;

/// Writes lines, on a thread of its own, as only that may block. A line that cannot be written (the reader is gone or
/// stands still, the disk is full) is counted and dropped; the number is logged when writing works again. Clones write
/// to the same place.
#[derive(Debug, Clone)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// All is written, or has failed.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    is_writing: bool,
    /// Lines that could not be written, and why the last of them could not.
    dropped: u64,
    why: String,
}

/// What the writing thread alone knows.
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
    /// Standard error, the same for all callers. `report` makes the line about lost ones; that of the first call counts.
    pub fn stderr(report: Report) -> Self {
        STDERR.get_or_init(|| Self::new(io::stderr(), report)).clone()
    }

    /// Standard output, for what a program says there while it works.
    pub(super) fn stdout() -> Self {
        STDOUT
            .get_or_init(|| Self::new(io::stdout(), |text| format!("{text}\n")))
            .clone()
    }

    /// Any other place.
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
        // Without a thread nothing is written, and what is beyond the limit is dropped: better than not to start.
        let _started = thread.spawn(move || place.write_all(&writing));
        let writer = Self { shared };
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(writer.clone());
        writer
    }

    /// Takes a line, or counts it as dropped. Never waits for whoever reads.
    pub fn line(&self, line: &[u8]) {
        let mut state = self.shared.state();
        if state.waiting.len() + line.len() > LIMIT {
            state.dropped += 1;
            "what reads the log stands still".clone_into(&mut state.why);
            return;
        }
        state.waiting.extend_from_slice(line);
        drop(state);
        self.shared.filled.notify_one();
    }

    /// Waits until everything is written, until `deadline`.
    fn flush_until(&self, deadline: Instant) {
        let mut state = self.shared.state();
        while state.is_writing || !state.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.emptied.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything is written in all places, no longer than this.
    pub(super) fn flush_all(within: Duration) {
        let deadline = Instant::now() + within;
        let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for writer in all {
            writer.flush_until(deadline);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> Place<W> {
    fn write_all(mut self, shared: &Shared) {
        let mut batch = Vec::new();
        loop {
            let mut state = shared.state();
            while state.waiting.is_empty() {
                state = shared.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.waiting, &mut batch);
            state.is_writing = true;
            let reported = self.report(&state, &mut batch);
            drop(state);

            let lost = self.write(&batch);
            batch.clear();
            batch.shrink_to(KEPT);
            let mut state = shared.state();
            match lost {
                Ok(()) if reported > 0 => {
                    state.dropped -= reported;
                    self.reported = Some(Instant::now());
                }
                Ok(()) => {}
                Err((lines, why)) => {
                    state.dropped += lines - u64::from(reported > 0).min(lines);
                    state.why = why.to_string();
                }
            }
            state.is_writing = false;
            shared.emptied.notify_all();
        }
    }

    /// Adds the line about lost ones, if it is time for one; how many it reports.
    fn report(&self, state: &State, batch: &mut Vec<u8>) -> u64 {
        let is_due = self.reported.is_none_or(|last| last.elapsed() >= REPORT_AGAIN);
        if state.dropped == 0 || !is_due {
            return 0;
        }
        let text = format!(
            "{} log lines before this one could not be written and are lost: {}",
            state.dropped, state.why
        );
        batch.extend_from_slice((self.report)(&text).as_bytes());
        state.dropped
    }

    /// Writes all, or tells how many lines were not written whole.
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
        // What is buffered on the way, as standard output is, must go out with its batch.
        self.out.flush().map_err(|error| (0, error))
    }
}

impl Write for LogWriter {
    /// Takes all of `line`, whatever becomes of it.
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
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::{BufRead as _, BufReader};

    const LINE: &[u8] = b"a line of some length\n";
    const WAIT: Duration = Duration::from_mins(1);

    fn plain(text: &str) -> String {
        format!("{text}\n")
    }

    fn flushed(log: &LogWriter) -> u64 {
        log.flush_until(Instant::now() + WAIT);
        log.shared.state().dropped
    }

    #[test]
    fn lines_for_a_reader_that_is_gone_are_counted() {
        let (reader, writer) = io::pipe().unwrap();
        let log = LogWriter::new(writer, plain);
        log.line(LINE);
        assert_eq!(flushed(&log), 0);
        drop(reader);
        for lost in 1..=3 {
            log.line(LINE);
            assert_eq!(flushed(&log), lost);
        }
        let why = log.shared.state().why.clone();
        assert!(why.contains("Broken pipe"), "{why}");
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let log = LogWriter::new(full, plain);
        log.line(&LINE.repeat(5));
        assert_eq!(flushed(&log), 5);
    }

    #[test]
    fn a_reader_that_stands_still_is_not_waited_for() {
        let (reader, writer) = io::pipe().unwrap();
        let log = LogWriter::new(writer, plain);
        let sent = 200_000;
        for _ in 0..sent {
            log.line(LINE);
        }
        assert!(log.shared.state().dropped > 0);

        // Every line is either read or reported, or still to be reported.
        let seen = Arc::new(Mutex::new((0, 0)));
        let counts = Arc::clone(&seen);
        thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                let line = line.unwrap();
                let mut counts = counts.lock().unwrap();
                match line.split_once(" log lines before this one could not be written and are lost") {
                    Some((lost, _)) => counts.1 += lost.parse::<u64>().unwrap(),
                    None if line.as_bytes() == &LINE[..LINE.len() - 1] => counts.0 += 1,
                    None => panic!("{line}"),
                }
            }
        });
        let begin = Instant::now();
        loop {
            let (read, reported) = *seen.lock().unwrap();
            let left = log.shared.state().dropped;
            if read > 0 && reported > 0 && read + reported + left == sent {
                break;
            }
            log.flush_until(Instant::now() + Duration::from_millis(10));
            assert!(
                begin.elapsed() < WAIT,
                "{read} read, {reported} reported, {left} left of {sent}"
            );
        }
    }

    #[test]
    fn waiting_for_the_end_has_an_end() {
        let (_reader, writer) = io::pipe().unwrap();
        let log = LogWriter::new(writer, plain);
        log.line(&LINE.repeat(10_000));
        log.flush_until(Instant::now() + Duration::from_millis(10));
        assert!(log.shared.state().is_writing);
    }

    /// Takes so many bytes, then fails until it is given more.
    struct Room(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut inner = self.0.lock().unwrap();
            let taken = bytes.len().min(inner.0);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            inner.0 -= taken;
            inner.1.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_is_cut_off_does_not_run_into_the_next_one() {
        let room = Arc::new(Mutex::new((LINE.len() + 5, Vec::new())));
        let log = LogWriter::new(Room(Arc::clone(&room)), plain);
        log.line(&LINE.repeat(3));
        assert_eq!(flushed(&log), 2);
        room.lock().unwrap().0 = 10_000;
        log.line(LINE);
        assert_eq!(flushed(&log), 0);
        let text = String::from_utf8(room.lock().unwrap().1.clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1..3], ["a lin", "a line of some length"]);
        assert!(lines[3].starts_with("2 log lines"), "{text}");
    }
}
