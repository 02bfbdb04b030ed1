//! Soft and hard time limits (contract E.6).

use std::convert::Infallible;
use std::time::Duration;

use celery_protocol::TaskMessage;

use super::options::TaskOptions;
use super::outcome::seconds;
use super::request::Request;

/// The time limits of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct TimeLimits {
    hard: Option<Duration>,
    soft: Option<Duration>,
}

/// The error if the hard limit, in seconds, has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Elapsed(pub(crate) f64);

impl TimeLimits {
    /// Returns the limits that a task is registered with.
    pub(crate) fn registered(options: &TaskOptions) -> Self {
        Self {
            hard: options.time_limit,
            soft: options.soft_time_limit,
        }
    }

    /// Returns the message's own limits, or else these.
    pub(crate) fn or_of(self, message: &TaskMessage) -> Self {
        let (hard, soft) = message.timelimit;
        Self {
            hard: duration(hard).or(self.hard),
            soft: duration(soft).or(self.soft),
        }
    }

    /// Runs `run` until it ends or the hard limit passes, whichever comes first. When the soft limit passes, the
    /// request's token is cancelled. Both log lines are the worker's own, not the task's, and are therefore outside
    /// the task's span.
    pub(crate) async fn enforce<R: Future>(self, request: &Request, run: R) -> Result<R::Output, Elapsed> {
        let soft = async {
            let Some(limit) = self.soft else {
                return std::future::pending::<Infallible>().await;
            };
            tokio::time::sleep(limit).await;
            tracing::warn!(
                parent: None,
                "Soft time limit ({}s) exceeded for {}",
                seconds(limit),
                request.shown()
            );
            request.soft_time_limit().cancel();
            std::future::pending().await
        };
        let hard = async {
            match self.hard {
                Some(limit) => {
                    tokio::time::sleep(limit).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            output = run => Ok(output),
            limit = hard => {
                tracing::error!(
                    parent: None,
                    "Hard time limit ({}s) exceeded for {}",
                    seconds(limit),
                    request.shown()
                );
                Err(Elapsed(limit.as_secs_f64()))
            }
            never = soft => match never {},
        }
    }
}

/// Returns a limit that can be enforced, or `None` if the message's number is not above zero.
fn duration(seconds: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds?)
        .ok()
        .filter(|limit| !limit.is_zero())
}
