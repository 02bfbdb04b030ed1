//! A task's name and settings.

use std::time::Duration;

use crate::task::rate_limit::RateLimit;

/// A task's name and settings, named as Celery names them.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "Celery's settings, each on or off")]
pub struct TaskOptions {
    /// The name that messages carry, `package.module.function`.
    pub name: String,
    /// Whether the message is acked after the run (`true`), before it (`false`), or as the worker is set (`None`).
    pub acks_late: Option<bool>,
    /// Whether a failure acks the message (acked late); otherwise it is rejected, for its dead-letter exchange.
    pub acks_on_failure: bool,
    /// Whether the end of the hard time limit acks the message (acked late); otherwise it is delivered again.
    pub acks_on_timeout: bool,
    /// Whether results are thrown away unless the message says otherwise; also what the messages say that this
    /// worker sends for the task.
    pub ignore_result: bool,
    /// Whether failures are stored even so.
    pub store_errors_even_if_ignored: bool,
    /// Whether the state `STARTED` is stored when a run begins.
    pub track_started: bool,
    /// How many runs may start in a time, in this worker. Messages that must wait stay unacked.
    pub rate_limit: Option<RateLimit>,
    /// After this time the run is dropped and the task fails. A message's own limit goes before.
    pub time_limit: Option<Duration>,
    /// After this time [`Request::soft_time_limit`](crate::Request::soft_time_limit) is cancelled. A message's own
    /// limit goes before.
    pub soft_time_limit: Option<Duration>,
    /// How often a task is retried before it fails; `None`: without end.
    pub max_retries: Option<u32>,
    /// How long after a retry was asked for the task runs again.
    pub default_retry_delay: Duration,
    /// Class names of exceptions that are part of the task's business: logged as `raised expected`, level INFO.
    pub throws: Vec<String>,
}

impl TaskOptions {
    /// A task of this name with Celery's default settings.
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
