//! Shutdown in two steps: warm (finish running work) and cold (exit at once).

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::background::Background;

/// How long a warm shutdown may take, all its steps together, before it turns cold.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// The two steps of a shutdown, named as in Celery. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct GracefulShutdown {
    /// Accept no new work and finish running work.
    pub warm: CancellationToken,
    /// Exit now.
    pub cold: CancellationToken,
    /// The start of the drain limit: when a waiter first saw that a warm shutdown had begun.
    begun: Arc<OnceLock<Instant>>,
}

impl GracefulShutdown {
    /// Returns a shutdown that its holder triggers: `warm.cancel()`, `cold.cancel()`.
    pub fn manual() -> Self {
        Self::default()
    }

    /// Returns a shutdown that signals trigger: the first SIGTERM or SIGINT the warm one, the second the cold one. A
    /// task of `background` listens for them. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the operating system refuses a signal handler.
    pub fn on_signals(background: &mut Background) -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::manual();
        let (warm, cold) = (shutdown.warm.clone(), shutdown.cold.clone());
        // The action of a signal comes before its log line: the log may be slow or gone.
        background.spawn("the signal listener", async move {
            let name = either(&mut terminate, &mut interrupt).await;
            warm.cancel();
            info!("{name} received: finishing running work");
            let name = either(&mut terminate, &mut interrupt).await;
            cold.cancel();
            info!("{name} received again: exiting at once");
            std::future::pending::<()>().await;
        });
        Ok(shutdown)
    }

    /// Waits until waiting is over: on a cold shutdown, or [`DRAIN_LIMIT`] after a warm one has begun. If several steps
    /// of a shutdown wait for it one after the other, they share this one limit.
    pub async fn drain_limit(&self) {
        let warm_for_too_long = async {
            self.warm.cancelled().await;
            let begun = *self.begun.get_or_init(Instant::now);
            sleep_until(begun + DRAIN_LIMIT).await;
        };
        tokio::select! {
            () = self.cold.cancelled() => {}
            () = warm_for_too_long => {}
        }
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readiness::Readiness;
    use tokio::time::{sleep, timeout};

    #[tokio::test(start_paused = true)]
    async fn a_warm_shutdown_turns_cold_after_the_limit() {
        let shutdown = GracefulShutdown::manual();
        assert!(
            timeout(DRAIN_LIMIT * 10, shutdown.drain_limit()).await.is_err(),
            "nobody asked to leave"
        );
        let begin = Instant::now();
        shutdown.warm.cancel();
        shutdown.drain_limit().await;
        assert_eq!(begin.elapsed(), DRAIN_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_steps_of_a_shutdown_share_one_limit() {
        let shutdown = GracefulShutdown::manual();
        let begin = Instant::now();
        shutdown.warm.cancel();
        let first = sleep(DRAIN_LIMIT / 2);
        tokio::select! {
            () = first => {}
            () = shutdown.drain_limit() => panic!("too early"),
        }
        shutdown.clone().drain_limit().await;
        assert_eq!(begin.elapsed(), DRAIN_LIMIT);
        shutdown.drain_limit().await;
        assert_eq!(begin.elapsed(), DRAIN_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cold_shutdown_waits_for_nothing() {
        let shutdown = GracefulShutdown::manual();
        let begin = Instant::now();
        shutdown.warm.cancel();
        shutdown.cold.cancel();
        shutdown.drain_limit().await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn the_first_signal_is_warm_the_second_cold() {
        let mut background = Background::new(&Readiness::new());
        let shutdown = GracefulShutdown::on_signals(&mut background).unwrap();
        let raise = |name: &str| {
            let pid = std::process::id().to_string();
            assert!(
                std::process::Command::new("kill")
                    .args([name, &pid])
                    .status()
                    .unwrap()
                    .success()
            );
        };
        raise("-TERM");
        timeout(Duration::from_secs(5), shutdown.warm.cancelled())
            .await
            .unwrap();
        assert!(!shutdown.cold.is_cancelled());
        raise("-INT");
        timeout(Duration::from_secs(5), shutdown.cold.cancelled())
            .await
            .unwrap();
    }
}
