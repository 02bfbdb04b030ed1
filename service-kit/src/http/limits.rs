//! The resources that a client may use: connections, time and header bytes.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

/// The share of the process's file descriptors that the connections of one listener may take: programs have up to three
/// listeners, and connections of their own.
const SHARE_OF_DESCRIPTORS: usize = 4;

/// The limits on the resources that clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; fewer if the process may not open four times as many files. When this number is reached, a new
    /// one replaces the one that has been without a request for longest (at least half a second); while all
    /// have a request, the new one is accepted later.
    pub connections: usize,
    /// The time from the start of waiting for a request to the end of its headers. An idle
    /// connection is therefore closed after this time, too.
    pub header_read: Duration,
    /// The total size of all header lines, in bytes; a longer request is answered with 431.
    pub header_bytes: usize,
    /// The time that a handler has to answer; 503 after that.
    pub request: Duration,
    /// The time that the client has to read an answer; the connection is closed after that.
    pub answer_write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(15),
            header_bytes: 64 * 1024,
            connections: 2048,
            request: Duration::from_secs(30),
            answer_write: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Raises the process's limit on open files if possible, and returns how many connections fit into it.
    pub(super) fn connections(&self) -> usize {
        let wanted = u64::try_from(self.connections * SHARE_OF_DESCRIPTORS).unwrap_or(u64::MAX);
        let limit = getrlimit(Resource::Nofile);
        let Some(mut files) = limit.current.filter(|current| *current < wanted) else {
            return self.connections;
        };
        let raised = Rlimit {
            current: Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted))),
            ..limit
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => files = raised.current.unwrap_or(wanted),
            Err(error) => debug!("the limit of open files stays at {files}: {error}"),
        }
        let fitting = usize::try_from(files).unwrap_or(usize::MAX) / SHARE_OF_DESCRIPTORS;
        self.connections.min(fitting).max(1)
    }

    /// Returns how long a connection may be without a request.
    pub(super) fn waiting(&self) -> Duration {
        self.header_read + self.answer_write
    }
}
