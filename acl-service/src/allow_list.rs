//! Where permissions are kept.

use std::sync::Arc;

use uuid::Uuid;

/// Which driver tokens are allowed at which station. Tokens are any text.
pub trait AllowList: Send + Sync + 'static {
    /// Whether the driver may charge at the station.
    fn contains(&self, station: Uuid, token: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Allows the driver. Says whether that is new.
    fn add(&self, station: Uuid, token: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Takes the permission away. Says whether there was one.
    fn remove(&self, station: Uuid, token: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

/// Why an allow-list has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// The store cannot be reached, is too slow or refuses for now; asking again may help.
    #[error("the allow-list store does not answer")]
    Down(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// What the store holds for this station is no allow-list; asking again does not help.
    #[error("what is stored for this station is no allow-list")]
    Damaged(#[source] Arc<dyn std::error::Error + Send + Sync>),
}
