//! The interface to the store of permissions.

use std::sync::Arc;

use uuid::Uuid;

/// The driver tokens that are allowed at each station. A token is any text.
pub trait AllowList: Send + Sync + 'static {
    /// Returns whether the driver may charge at the station.
    fn contains(&self, station: Uuid, token: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Allows the driver. Returns whether the permission is new.
    fn add(&self, station: Uuid, token: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Revokes the permission. Returns whether there was one.
    fn remove(&self, station: Uuid, token: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

/// The reason why an allow-list has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// The store cannot be reached, is too slow or refuses for now; a retry may help.
    #[error("the allow-list store does not answer")]
    Down(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The value stored for this station is not an allow-list; a retry does not help.
    #[error("the value stored for this station is not an allow-list")]
    Damaged(#[source] Arc<dyn std::error::Error + Send + Sync>),
}
