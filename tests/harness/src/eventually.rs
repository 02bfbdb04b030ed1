//! Waits for a condition, up to a time limit.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// Calls `probe` repeatedly until it returns `Ok`, and returns its value.
///
/// `what` describes the condition, and the error of `probe` describes what was seen instead; the panic after
/// `timeout` contains both.
#[track_caller]
pub fn eventually<T, F, P>(
    what: impl Into<String>,
    timeout: Duration,
    mut probe: F,
) -> impl Future<Output = T>
where
    F: FnMut() -> P,
    P: Future<Output = Result<T, String>>,
{
    let caller = Location::caller();
    let what = what.into();
    async move {
        let start = Instant::now();
        loop {
            let seen = match probe().await {
                Ok(value) => return value,
                Err(seen) => seen,
            };
            assert!(
                start.elapsed() < timeout,
                "{caller}: waited {timeout:?} for: {what}; last seen: {seen}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}
