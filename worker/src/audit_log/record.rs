//! What is kept of an authorization.

use crate::verdict::Verdict;

/// What is kept of an authorization. All texts as the message had them; a lone surrogate is U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// The Celery task that it is a record of. No store shows it; one that needs a name for a document takes it.
    pub task_id: String,
    /// When the task began, in nanoseconds since 1970.
    pub start_time_ns: i128,
    /// The station, as Python's `str()` shows it.
    pub station_id: String,
    /// The driver's token, as Python's `str()` shows it.
    pub driver_token: String,
    /// What the caller was told.
    pub status: Verdict,
    /// How the callback ended: [`CallbackStatus`](callback_client::CallbackStatus).
    pub callback_status: String,
    /// Where the callback went, as Python's `str()` shows it.
    pub callback_url: String,
}
