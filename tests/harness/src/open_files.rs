//! The number of files that a test process may open.

use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Concurrent tests hold both ends of hundreds of connections.
const WANTED: u64 = 8192;

/// Raises the limit of this process, and of the programs that it starts, as far as the system allows and the tests need:
/// the limit is usually 1024 in a shell. If it stays too low, the test that opens one file too many fails.
pub(crate) fn allow_many() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let limit = getrlimit(Resource::Nofile);
        if limit.current.is_some_and(|current| current < WANTED) {
            let raised = limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
            let raised = Rlimit {
                current: Some(raised),
                ..limit
            };
            setrlimit(Resource::Nofile, raised).expect("up to the hard limit anybody may");
        }
    });
}
