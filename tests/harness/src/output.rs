//! The output of a program so far.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::Notify;

/// The lines of both streams in order of arrival.
#[derive(Default)]
pub(crate) struct Output {
    lines: Mutex<Vec<Line>>,
    /// Wakes the tasks that wait for the next line.
    pub(crate) changed: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

pub(crate) struct Line {
    stream: Stream,
    pub(crate) text: String,
}

impl Output {
    /// Reads a stream to its end.
    pub(crate) fn collect(
        output: &Arc<Self>,
        stream: Stream,
        pipe: impl Read + Send + 'static,
    ) -> JoinHandle<()> {
        let output = Arc::clone(output);
        // This is a thread, not a task: a server shared by several tests outlives the runtime of the test that
        // started it.
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut bytes = Vec::new();
            while pipe.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&bytes)
                    .trim_end_matches(['\r', '\n'])
                    .to_owned();
                output.locked().push(Line { stream, text });
                output.changed.notify_waiters();
                bytes.clear();
            }
        })
    }

    /// All lines so far.
    pub(crate) fn locked(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines of one stream.
    pub(crate) fn of(&self, stream: Stream) -> Vec<String> {
        self.locked()
            .iter()
            .filter(|line| line.stream == stream)
            .map(|line| line.text.clone())
            .collect()
    }

    /// The first `count` lines that contain `text`.
    pub(crate) fn matching(&self, text: &str, count: usize) -> Vec<String> {
        let lines = self.locked();
        lines
            .iter()
            .filter(|line| line.text.contains(text))
            .take(count)
            .map(|line| line.text.clone())
            .collect()
    }
}
