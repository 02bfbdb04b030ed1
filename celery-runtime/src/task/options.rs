//! A task's name and settings.

use std::time::Duration;

use crate::task::rate_limit::RateLimit;

/// A task's name and settings, named as Celery names them.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "Celery's settings, each on or off")]
pub struct TaskOptions {
    /// The name that messages carry, `package.module.function`.
    pub name: String,
    /// Whether the message is acked after the run (`true`), before it (`false`), or as the worker is configured
    /// (`None`).
    pub acks_late: Option<bool>,
    /// Whether a failure acks the message (if acked late); otherwise it is rejected, to its dead-letter exchange.
    pub acks_on_failure: bool,
    /// Whether reaching the hard time limit acks the message (if acked late); otherwise it is redelivered.
    pub acks_on_timeout: bool,
    /// Whether results are discarded unless the message states otherwise; messages that this worker sends for the
    /// task carry the same setting.
    pub ignore_result: bool,
    /// Whether failures are stored even if results are ignored.
    pub store_errors_even_if_ignored: bool,
    /// Whether the state `STARTED` is stored when a run begins.
    pub track_started: bool,
    /// Limit on the rate of runs that start in this worker. Messages that must wait stay unacked.
    pub rate_limit: Option<RateLimit>,
    /// Duration after which the run is dropped and the task fails. A limit in the message takes precedence.
    pub time_limit: Option<Duration>,
    /// Duration after which [`Request::soft_time_limit`](crate::Request::soft_time_limit) is cancelled. A limit in
    /// the message takes precedence.
    pub soft_time_limit: Option<Duration>,
    /// How often a task is retried before it fails; `None` means without limit.
    pub max_retries: Option<u32>,
    /// Delay before a retry, unless the retry sets its own.
    pub default_retry_delay: Duration,
    /// Class names of expected exceptions, which are logged as `raised expected` at level INFO.
    pub throws: Vec<String>,
}

impl TaskOptions {
    /// Returns the options of a task with this name and Celery's default settings.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            acks_late: None,
            acks_on_failure: true,
            acks_on_timeout: true,
            ignore_result: false,
            store_errors_even_if_ignored: false,
            track_started: false,
            rate_limit: None,
            time_limit: None,
            soft_time_limit: None,
            max_retries: Some(3),
            default_retry_delay: Duration::from_mins(3),
            throws: Vec::new(),
        }
    }
}
