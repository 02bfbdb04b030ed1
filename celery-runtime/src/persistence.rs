//! Attempts that are repeated until one succeeds.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use explain::explain;

/// Shortest and longest wait between two attempts.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Retries without end. A failure is logged once, and so is its end. A caller that does not want to wait any longer
/// drops the future.
#[derive(Debug)]
pub(crate) struct Persistence {
    trouble: String,
    consequence: &'static str,
    recovery: String,
    in_trouble: AtomicBool,
}

impl Persistence {
    /// Takes the texts for the log: `trouble` describes what fails, `consequence` its effect meanwhile, and
    /// `recovery` is the line for the time when it works again.
    pub(crate) fn new(
        trouble: impl Into<String>,
        consequence: &'static str,
        recovery: impl Into<String>,
    ) -> Self {
        Self {
            trouble: trouble.into(),
            consequence,
            recovery: recovery.into(),
            in_trouble: AtomicBool::new(false),
        }
    }

    /// Repeats the attempt until it succeeds.
    ///
    /// # Errors
    /// The first error for which `is_final` returns true: no further attempt can succeed.
    pub(crate) async fn until_done<T, E, F>(
        &self,
        attempt: impl FnMut() -> F,
        is_final: impl Fn(&E) -> bool,
    ) -> Result<T, E>
    where
        E: Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let waits = ExponentialBuilder::default()
            .with_min_delay(WAIT.0)
            .with_max_delay(WAIT.1)
            .without_max_times();
        let done = attempt
            .retry(waits)
            .when(|error| !is_final(error))
            .notify(|error, _wait| self.log(error))
            .await?;
        if self.in_trouble.swap(false, Ordering::Relaxed) {
            tracing::info!("{}", self.recovery);
        }
        Ok(done)
    }

    /// Repeats the attempt until it succeeds, whatever the error.
    pub(crate) async fn forever<T, E, F>(&self, mut attempt: impl FnMut() -> F) -> T
    where
        E: Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        loop {
            if let Ok(done) = self.until_done(&mut attempt, |_| false).await {
                return done;
            }
        }
    }

    fn log(&self, error: &(dyn Error + 'static)) {
        if !self.in_trouble.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "{}: {}. Retrying; {}",
                self.trouble,
                explain(error),
                self.consequence
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("attempt {0}")]
    struct Failed(u32);

    #[tokio::test(start_paused = true)]
    async fn attempts_are_repeated_until_one_succeeds_or_none_can() {
        let persistence = Persistence::new("it cannot be done", "something waits", "it is done again");
        let attempts = Cell::new(0);
        let attempt = || {
            attempts.set(attempts.get() + 1);
            let now = attempts.get();
            async move { if now < 100 { Err(Failed(now)) } else { Ok(now) } }
        };
        let start = tokio::time::Instant::now();
        assert_eq!(persistence.until_done(attempt, |_| false).await, Ok(100));
        assert!(!persistence.in_trouble.load(Ordering::Relaxed));
        let longest = start.elapsed().as_secs();
        assert!(
            (180..200).contains(&longest),
            "2 s between two attempts at most: {longest} s"
        );
        attempts.set(0);
        let ended = persistence.until_done(attempt, |Failed(now)| *now == 7).await;
        assert_eq!(ended, Err(Failed(7)));
    }
}
