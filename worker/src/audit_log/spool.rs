//! The local spool: an SQLite file that keeps records while the audit log does not accept them (issue 5, ADR 39).

mod file;
mod rows;

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, TransactionBehavior};
use tokio::task::JoinError;

pub use self::file::{Left, OpenError};
pub(super) use self::rows::Spooled;
use super::record::AuditRecord;

/// A file for records, opened when the first record arrives and closed when it is empty again. Clones share the file;
/// other processes may share it as well.
#[derive(Debug, Clone)]
pub struct Spool {
    path: Arc<Path>,
    max_mib: u32,
    left: Option<Left>,
    connection: Arc<Mutex<Option<Connection>>>,
}

/// The error of an operation on the spool.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    /// The file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file is full.
    #[error("the spool {path} is full: it has reached AUDIT_SPOOL_MAX_MIB ({max_mib} MiB), or its disk is full", path = .path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// The limit of its size in MiB.
        max_mib: u32,
    },
    /// SQLite reports another error.
    #[error("the spool {path} failed", path = .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The operation was given up, because of a panic or at the end of the process.
    #[error("the spool {path} was interrupted", path = .path.display())]
    Interrupted {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: JoinError,
    },
}

/// The right to replay, which only one process has at a time; released when dropped.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "holds the lock as long as it is open")] File);

impl Spool {
    /// Checks the file or, if there is none, whether it could be created; does not create it. `max_mib` is the limit of
    /// its size in MiB.
    pub fn new(path: &Path, max_mib: u32) -> Result<Self, OpenError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let left = match file::look(&path) {
            Err(error) if error.is_for_lack_of_room() => None,
            looked => Some(looked?),
        };
        Ok(Self {
            path: path.into(),
            max_mib,
            left,
            connection: Arc::default(),
        })
    }

    /// Returns what the spool contained at the start; `None` if its disk was so full that this could not be read.
    pub fn left(&self) -> Option<Left> {
        self.left
    }

    /// Stores records in one transaction. `Ok` means that they are on the disk. Returns the records in either case.
    pub(super) async fn keep(&self, records: Vec<AuditRecord>) -> (Vec<AuditRecord>, Result<(), SpoolError>) {
        self.insert(records, rows::insert).await
    }

    /// Does the same for records that the audit log refuses, each with the reason.
    pub(super) async fn keep_refused(
        &self,
        refused: Vec<(AuditRecord, String)>,
    ) -> (Vec<(AuditRecord, String)>, Result<(), SpoolError>) {
        self.insert(refused, rows::insert_refused).await
    }

    /// Inserts these rows in one transaction. They are shared with the thread that does it, so that no row is lost if
    /// it panics.
    async fn insert<T: Clone + Send + Sync + 'static>(
        &self,
        rows: Vec<T>,
        insert: fn(&Connection, &T) -> rusqlite::Result<()>,
    ) -> (Vec<T>, Result<(), SpoolError>) {
        let rows = Arc::new(rows);
        let shared = Arc::clone(&rows);
        let inserted = self
            .change(move |connection| shared.iter().try_for_each(|row| insert(connection, row)))
            .await;
        (Arc::unwrap_or_clone(rows), inserted)
    }

    /// Returns the oldest waiting records with numbers above `after`, at most `limit`.
    pub(super) async fn oldest(&self, after: i64, limit: usize) -> Result<Spooled, SpoolError> {
        self.change(move |connection| rows::oldest(connection, after, limit))
            .await
    }

    /// Removes the records that are written elsewhere, and sets aside those that are refused.
    pub(super) async fn settle(
        &self,
        written: Vec<i64>,
        refused: Vec<(i64, String)>,
    ) -> Result<(), SpoolError> {
        self.change(move |connection| {
            for id in &written {
                rows::remove(connection, *id)?;
            }
            for (id, reason) in &refused {
                rows::set_aside(connection, *id, reason)?;
            }
            Ok(())
        })
        .await
    }

    /// Returns the right to replay, unless another process has it.
    pub(super) async fn turn(&self) -> Result<Option<Turn>, SpoolError> {
        let path = Arc::clone(&self.path);
        self.blocking(move || {
            let file = file::lock_file(&path)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(Turn(file))),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(file::unlockable(&path, error).into()),
            }
        })
        .await
    }

    /// Closes the file, so that it contains everything without its write-ahead log.
    pub(super) async fn close(&self) {
        let connection = Arc::clone(&self.connection);
        // If this fails, the file is closed at the end of the process.
        let _ = self
            .blocking(move || {
                drop(connection.lock().unwrap_or_else(PoisonError::into_inner).take());
                Ok(())
            })
            .await;
    }

    /// Runs one transaction on a thread that may block.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let spool = self.clone();
        self.blocking(move || {
            let mut open = spool.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = match &mut *open {
                Some(connection) => connection,
                closed => closed.insert(file::open(&spool.path, spool.max_mib)?),
            };
            let done = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .and_then(|transaction| {
                    let done = work(&transaction)?;
                    transaction.commit()?;
                    Ok(done)
                });
            done.map_err(|error| spool.failed(error))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|source| {
            let path = self.path.to_path_buf();
            Err(SpoolError::Interrupted { path, source })
        })
    }

    fn failed(&self, source: rusqlite::Error) -> SpoolError {
        let path = self.path.to_path_buf();
        if file::is_full(&source) {
            let max_mib = self.max_mib;
            SpoolError::Full { path, max_mib }
        } else {
            SpoolError::Sqlite { path, source }
        }
    }
}

impl fmt::Display for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the spool {}", self.path.display())
    }
}
