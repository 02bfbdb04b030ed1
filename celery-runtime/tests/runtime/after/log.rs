//! The log lines of all workers of this process.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use celery_runtime::{CeleryFormat, TaskFields};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Starts to keep the log lines.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .event_format(CeleryFormat)
            .fmt_fields(TaskFields)
            .with_writer(|| Keeper)
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("no other subscriber is set");
    });
}

/// Returns the lines that contain `text`, without their times.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let bytes = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8_lossy(&bytes)
        .lines()
        .filter(|line| line.contains(text))
        .map(|line| line.split_once(": ").map_or(line, |(_, rest)| rest).to_owned())
        .collect()
}

struct Keeper;

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
