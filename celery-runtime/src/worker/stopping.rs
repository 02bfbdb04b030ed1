//! Stopping a worker within time limits that no broker can exceed (contract E.7).

use std::time::Duration;

use explain::explain;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{sleep, timeout};

use super::consumer::Consumer;
use super::link::Link;
use crate::shutdown::{Shutdown, Stage};

/// Limit for each step of a warm shutdown that involves the broker: cancelling the consumers, sending the
/// settlements, closing a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same limit after a cold shutdown: the contents of the socket's buffer are sent, but no answer is awaited.
const COLD_PATIENCE: Duration = Duration::from_millis(400);

impl Consumer {
    /// Stops the worker. Warm: no more messages are accepted, running tasks finish and are acked, and reserved or
    /// scheduled messages return to the queue. Cold: running tasks are terminated, and their messages also return
    /// if they are acked late.
    ///
    /// `drain_timeout` is how long running tasks may take. A broker that does not answer adds a few seconds, and
    /// after a cold shutdown less than one.
    pub(crate) async fn stop(
        mut self,
        stage: Stage,
        link: Option<Link>,
        shutdown: &mut Shutdown,
        drain_timeout: Duration,
    ) {
        let mut link = link;
        if stage < Stage::Cold
            && let Some(link) = &mut link
        {
            tokio::select! {
                cancelled = timeout(PATIENCE, link.cancel_consumers()) => match cancelled {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!("{}", explain(&error)),
                    Err(_elapsed) => tracing::debug!("the broker did not cancel the consumers in time"),
                },
                _cold = shutdown.reached(Stage::Cold) => {}
            }
        }
        self.state.forget_waiting();
        self.drain(shutdown, drain_timeout).await;
        let mut closing = std::pin::pin!(self.settle_and_close(link, PATIENCE));
        tokio::select! {
            biased;
            () = &mut closing => {}
            _cold = shutdown.reached(Stage::Cold) => {
                let _silent = timeout(COLD_PATIENCE, closing).await;
            }
        }
    }

    /// Waits for running tasks, up to the drain timeout or a cold shutdown, and terminates the rest.
    async fn drain(&mut self, shutdown: &mut Shutdown, drain_timeout: Duration) {
        let mut deadline = std::pin::pin!(sleep(drain_timeout));
        while !self.pool.is_empty() {
            tokio::select! {
                biased;
                _cold = shutdown.reached(Stage::Cold) => break,
                finished = self.pool.finished() => self.finished(finished),
                Some(_sent) = self.settling.next() => {}
                () = &mut deadline => {
                    let limit = drain_timeout.as_secs();
                    match self.pool.len() {
                        1 => tracing::warn!("1 task did not end within {limit} s; its message returns to the queue"),
                        left => tracing::warn!("{left} tasks did not end within {limit} s; their messages return to the queue"),
                    }
                    break;
                }
            }
        }
        // A run that has ended by now is settled, so that it is not run again.
        while let Some(finished) = self.pool.finished().now_or_never() {
            self.finished(finished);
        }
        self.pool.terminate().await;
    }

    /// Sends the remaining settlements and closes the connections. The runs have ended.
    async fn settle_and_close(&mut self, link: Option<Link>, limit: Duration) {
        let settled = async { while self.settling.next().await.is_some() {} };
        let _silent = timeout(limit, settled).await;
        let closing_link = async {
            if let Some(link) = link {
                link.close(limit).await;
            }
        };
        tokio::join!(closing_link, self.effects.close(limit));
    }
}
