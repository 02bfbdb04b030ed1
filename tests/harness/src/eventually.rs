//! Waiting for a condition with a bound.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until `probe` returns `Ok`, and returns its value.
///
/// `what` says what is waited for, the error of `probe` what was seen instead; both are in the panic when `timeout`
/// has passed.
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
