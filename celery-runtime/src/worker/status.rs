//! What health checks see of a worker.

/// Whether a worker takes messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Not yet, or not any more: the reason.
    Away(String),
    /// It is connected, but none of the messages that are ready has come to it: the reason.
    Stalled(String),
    /// It does.
    Consuming,
    /// It stops.
    Stopping,
}
