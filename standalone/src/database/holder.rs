//! Another process that has the file open.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _};

/// The process that has the file open.
#[derive(Debug)]
pub(crate) struct Holder {
    pid: Option<String>,
}

impl Holder {
    /// Returns the process named in the lock file, if there is one.
    pub(super) fn noted_in(lock: &mut File) -> Self {
        let mut pid = String::new();
        let read = lock.rewind().and_then(|()| lock.read_to_string(&mut pid));
        let known = read.is_ok() && !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        Self {
            pid: known.then_some(pid),
        }
    }

    /// Returns ` (1234)`, to follow "process"; nothing if the number is not known.
    pub(super) fn in_brackets(&self) -> String {
        self.pid
            .as_ref()
            .map(|pid| format!(" ({pid})"))
            .unwrap_or_default()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}
