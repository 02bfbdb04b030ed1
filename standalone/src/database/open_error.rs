//! The reason why the file cannot be opened, with advice.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::holder::Holder;

/// An error: the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) struct OpenError {
    path: PathBuf,
    why: Why,
}

/// What is wrong, and what to do unless another file is chosen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    #[error("another standalone process{} has it open; stop that one, or", .0.in_brackets())]
    InUse(Holder),
    #[error("{} is not writable: {error}; check the permissions of its directory, or", .path.display())]
    Unwritable { path: PathBuf, error: io::Error },
    #[error("it is not writable; check its permissions, or")]
    ReadOnly,
    #[error("it is not an SQLite database; move it away, or")]
    NotADatabase,
    #[error("it belongs to another program;")]
    Foreign,
    #[error("it was written by a newer version of this program; start that version, or")]
    Newer,
    #[error("it does not exist; start the services first, or")]
    Missing,
    #[error("{0};")]
    Sqlite(rusqlite::Error),
    #[error("no thread could be started for it: {0}; free some resources, or")]
    NoThread(io::Error),
}

impl OpenError {
    pub(super) fn new(path: &Path, why: Why) -> Self {
        Self {
            path: path.to_owned(),
            why,
        }
    }

    /// Returns what is wrong and what to do, without the path.
    pub(crate) fn reason(&self) -> String {
        format!(
            "{} choose another file with --database or STANDALONE_DATABASE",
            self.why
        )
    }

    pub(super) fn no_thread(path: &Path, error: io::Error) -> Self {
        Self::new(path, Why::NoThread(error))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot use the database {}: {}",
            self.path.display(),
            self.reason()
        )
    }
}

impl From<rusqlite::Error> for Why {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            _ => Self::Sqlite(error),
        }
    }
}
