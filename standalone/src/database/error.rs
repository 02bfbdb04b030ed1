//! The reason why the database did not do its work.

use std::sync::Arc;

/// The reason why the database did not do its work.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// SQLite reported an error.
    #[error("the database reported an error")]
    Refused(#[source] Arc<rusqlite::Error>),
    /// Another job in the same transaction failed in such a way that SQLite abandoned the transaction.
    #[error("the transaction was abandoned")]
    RolledBack,
    /// The database is closed.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Refused(Arc::new(error))
    }
}
