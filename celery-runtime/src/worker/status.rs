//! The status of a worker, for health checks.

/// Whether a worker receives messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The worker is not connected yet, or no longer, for this reason.
    Away(String),
    /// The worker is connected, but does not receive the messages that are ready, for this reason.
    Stalled(String),
    /// The worker receives messages.
    Consuming,
    /// The worker is stopping.
    Stopping,
}
