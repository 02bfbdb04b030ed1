//! What a client may take: connections, time and header bytes.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

/// The share of the process's file descriptors that the connections of one listener may take: programs have up to three
/// listeners, and connections of their own.
const SHARE_OF_DESCRIPTORS: usize = 4;

/// What clients may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; fewer where the process may not open four times as many files. When there are as many, a new
    /// one takes the place of the one that has been without a request for longest (half a second at least); when all
    /// have one, it is accepted later.
    pub connections: usize,
    /// From the first moment of waiting for a request to the end of its headers; so an idle
    /// connection is closed after this time, too.
    pub header_read: Duration,
    /// All header lines together, in bytes; more is answered with 431.
    pub header_bytes: usize,
    /// For a handler to answer; 503 after that.
    pub request: Duration,
    /// For the client to take an answer; the connection is closed after that.
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
    /// Raises the process's limit of open files where it may, and says how many connections fit into it.
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

    /// How long a connection may be without a request.
    pub(super) fn waiting(&self) -> Duration {
        self.header_read + self.answer_write
    }
}
