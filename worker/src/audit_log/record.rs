//! The audit record of an authorization.

use crate::verdict::Verdict;

/// The audit record of an authorization. All texts are those of the message; a lone surrogate becomes U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// The id of the Celery task. It is not a field in any store, but may be the id of a document.
    pub task_id: String,
    /// The time at which the task began, in nanoseconds since 1970.
    pub start_time_ns: i128,
    /// The station, as formatted by Python's `str()`.
    pub station_id: String,
    /// The driver's token, as formatted by Python's `str()`.
    pub driver_token: String,
    /// The verdict that was sent to the caller.
    pub status: Verdict,
    /// The outcome of the callback: [`CallbackStatus`](callback_client::CallbackStatus).
    pub callback_status: String,
    /// The callback URL, as formatted by Python's `str()`.
    pub callback_url: String,
}
