//! The single file that contains all data: permissions, waiting requests, audit records.

mod connection_thread;
mod error;
mod file;
mod holder;
mod lock;
mod open_error;
mod schema;

use std::path::Path;

use rusqlite::Connection;

use self::connection_thread::ConnectionThread;
pub(crate) use self::error::DatabaseError;
pub(crate) use self::file::{Looked, look, view};
pub(crate) use self::lock::holder;
pub(crate) use self::open_error::OpenError;

/// An open database. SQLite blocks, so it runs on two threads of its own: one writes, the other reads what is
/// committed. Clones share them.
#[derive(Clone)]
pub(crate) struct Database {
    writer: ConnectionThread,
    reader: ConnectionThread,
}

impl Database {
    /// Opens the file, or creates it. Only one process at a time can have it open in this way.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let file = file::open(path)?;
        let reader = ConnectionThread::start("database-reader", "BEGIN", file.reader, ());
        let writer = ConnectionThread::start("database-writer", "BEGIN IMMEDIATE", file.writer, file.lock);
        let threads = reader.and_then(|reader| {
            Ok(Self {
                writer: writer?,
                reader,
            })
        });
        threads.map_err(|error| OpenError::no_thread(path, error))
    }

    /// Performs `work` as one change: all of it or nothing. `Ok` means that it is on the disk.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.writer.run(work).await
    }

    /// Reads committed data.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.reader.run(work).await
    }

    /// Returns whether anything can be written.
    pub(crate) fn is_open(&self) -> bool {
        self.writer.is_running()
    }

    /// Waits until one of the threads has ended, after which the database is unusable.
    pub(crate) async fn has_ended(&self) {
        tokio::select! {
            () = self.writer.has_ended() => {}
            () = self.reader.has_ended() => {}
        }
    }

    /// Finishes pending work and closes the file, which then contains all data without its write-ahead log.
    pub(crate) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(connection: &Connection) -> rusqlite::Result<u32> {
        connection.query_row("SELECT count(*) FROM allow_list", [], |row| row.get(0))
    }

    fn insert(connection: &Connection, token: &str) -> rusqlite::Result<usize> {
        connection.execute("INSERT INTO allow_list VALUES ('station', ?)", [token])
    }

    #[tokio::test]
    async fn written_data_is_visible_to_others_and_after_closing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let database = Database::open(&path).unwrap();
        database
            .write(|connection| insert(connection, "one"))
            .await
            .unwrap();
        assert_eq!(count(&view(&path).unwrap()).unwrap(), 1);
        assert_eq!(database.read(count).await.unwrap(), 1);

        database.close().await;
        assert!(matches!(database.read(count).await, Err(DatabaseError::Closed)));
        assert!(!directory.path().join("a.db-wal").exists());
        let again = Database::open(&path).unwrap();
        assert_eq!(again.read(count).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_change_that_fails_leaves_nothing_and_does_not_affect_others() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("a.db")).unwrap();
        let good = (0..50).map(|n| {
            let database = database.clone();
            async move {
                database
                    .write(move |connection| insert(connection, &n.to_string()))
                    .await
            }
        });
        let bad = database.write(|connection| {
            insert(connection, "half")?;
            connection.execute("INSERT INTO allow_list VALUES (NULL, NULL)", [])
        });
        let (good, bad) = tokio::join!(futures_util::future::join_all(good), bad);
        assert!(good.iter().all(Result::is_ok), "{good:?}");
        assert!(matches!(bad, Err(DatabaseError::Refused(_))), "{bad:?}");
        assert_eq!(database.read(count).await.unwrap(), 50);
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_abandons_fails_for_all_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("a.db")).unwrap();
        let (ready, wait) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let busy = database.write(move |_| {
            let _ = ready.0.send(());
            let _ = wait.1.recv();
            Ok(())
        });
        // Two jobs that wait behind a third one share a transaction.
        let others = async {
            while ready.1.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
            let first = database.write(|connection| insert(connection, "lost"));
            let second = database.write(|connection| connection.execute_batch("ROLLBACK"));
            let release = async { wait.0.send(()) };
            tokio::join!(first, second, release)
        };
        let (busy, (first, ..)) = tokio::join!(busy, others);
        busy.unwrap();
        assert!(matches!(first, Err(DatabaseError::RolledBack)), "{first:?}");
        assert_eq!(database.read(count).await.unwrap(), 0);
        assert!(
            database
                .write(|connection| insert(connection, "next"))
                .await
                .is_ok()
        );
    }
}
