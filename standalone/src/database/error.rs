//! Why the database did not do what it should.

use std::sync::Arc;

/// Why the database did not do what it should.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// It says so itself.
    #[error("the database refuses")]
    Refused(#[source] Arc<rusqlite::Error>),
    /// Something else in the same transaction went so wrong that SQLite gave it up.
    #[error("the database gave the transaction up")]
    RolledBack,
    /// It is closed.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Refused(Arc::new(error))
    }
}
