//! The file of a spool: whose it is, what is in it, and what is in the way.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[cfg(feature = "servers")]
use explain::explain;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::rows;

/// Marks the file as a spool: "cpsp".
const APPLICATION_ID: i32 = 0x6370_7370;

/// How long to wait for others that have the file locked: other workers, or a `sqlite3` shell.
const BUSY: Duration = Duration::from_secs(2);

/// Its pages have 4 KiB.
const PAGES_PER_MIB: u32 = 256;

/// Tokens of drivers are in it.
const MODE: u32 = 0o600;

/// What a spool held when it was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Records that wait for the audit log.
    pub waiting: u32,
    /// Records that it has refused.
    pub refused: u32,
}

/// A spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the spool {path}", path = .path.display())]
pub struct OpenError {
    path: PathBuf,
    #[source]
    why: Why,
}

/// Advice follows the reason, so the reason is part of the text and not a source.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(
        "it cannot be written: {0}; check its permissions and its directory's, or set AUDIT_SPOOL to another file"
    )]
    Unwritable(io::Error),
    #[error(
        "it cannot be written; check its permissions and its directory's, or set AUDIT_SPOOL to another file"
    )]
    ReadOnly,
    #[error("it is no database; move it away, or set AUDIT_SPOOL to another file")]
    NotADatabase,
    #[error("it is the database of another program; set AUDIT_SPOOL to another file")]
    Foreign,
    #[error(
        "a newer version of this program has written it; let that one replay it, or set AUDIT_SPOOL to another file"
    )]
    Newer,
    #[error("its disk is full")]
    NoRoom,
    #[error(transparent)]
    Sqlite(rusqlite::Error),
}

impl OpenError {
    /// Whether it can be used as soon as its disk has room again.
    pub(super) fn is_for_lack_of_room(&self) -> bool {
        matches!(self.why, Why::NoRoom)
    }

    /// What is wrong and what to do, without the path.
    #[cfg(feature = "servers")]
    pub(crate) fn reason(&self) -> String {
        explain(&self.why)
    }

    /// Whether nothing is wrong with the file but that it may not be written here.
    pub fn is_unwritable(&self) -> bool {
        matches!(self.why, Why::Unwritable(_) | Why::ReadOnly)
    }
}

/// What is in the file, after it has been seen that records could be written.
pub(super) fn look(path: &Path) -> Result<Left, OpenError> {
    looked_at(path).map_err(|why| OpenError {
        path: path.to_owned(),
        why,
    })
}

fn looked_at(path: &Path) -> Result<Left, Why> {
    if !path.try_exists()? {
        let trial = beside(path, &format!(".{}", std::process::id()));
        private().create_new(true).open(&trial)?;
        std::fs::remove_file(&trial)?;
        return Ok(Left::default());
    }
    let connection = connect(path)?;
    let owner = owner(&connection)?;
    if connection.is_readonly("main")? {
        return Err(Why::ReadOnly);
    }
    if let Owner::Nobody = owner {
        return Ok(Left::default());
    }
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
    let (waiting, refused) = rows::count(&connection)?;
    Ok(Left { waiting, refused })
}

/// Opens the file, or makes it.
pub(super) fn open(path: &Path, max_mib: u32) -> Result<Connection, OpenError> {
    let until = Instant::now() + BUSY;
    loop {
        match opened(path, max_mib) {
            // Others are setting it up; SQLite does not wait for that by itself.
            Err(Why::Sqlite(error)) if is_busy(&error) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(connection) => return Ok(connection),
            Err(why) => {
                return Err(OpenError {
                    path: path.to_owned(),
                    why,
                });
            }
        }
    }
}

fn opened(path: &Path, max_mib: u32) -> Result<Connection, Why> {
    match private().create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let connection = connect(path)?;
    let known = owner(&connection)?;
    if connection.is_readonly("main")? {
        return Err(Why::ReadOnly);
    }
    if let Owner::Nobody = known {
        // Gives room back that is not needed; has to be said before anything is in the file.
        connection.pragma_update(None, "auto_vacuum", "FULL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // In this mode a commit returns after its fsync.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "max_page_count", max_mib.saturating_mul(PAGES_PER_MIB))?;
    if let Owner::Nobody = known {
        set_up(&connection)?;
    }
    Ok(connection)
}

/// Makes the tables, unless another process has just made them.
fn set_up(connection: &Connection) -> Result<(), Why> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    if let Owner::Nobody = owner(connection)? {
        let (schema, version) = (rows::SCHEMA, rows::VERSION);
        let mark = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};");
        connection.execute_batch(&format!("{schema} {mark}"))?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, Why> {
    // The path is absolute, so that no name, such as `:memory:`, has a meaning of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

enum Owner {
    Us,
    Nobody,
}

fn owner(connection: &Connection) -> Result<Owner, Why> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let empty = || connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0));
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION_ID, rows::VERSION) => Ok(Owner::Us),
        (APPLICATION_ID, _) => Err(Why::Newer),
        (0, 0) if empty()? => Ok(Owner::Nobody),
        _ => Err(Why::Foreign),
    }
}

/// The file whose lock is the right to replay: a lock on the database itself would get in the way of SQLite's own.
pub(super) fn lock_file(database: &Path) -> Result<File, OpenError> {
    let opened = private()
        .truncate(false)
        .create(true)
        .open(beside(database, ".lock"));
    opened.map_err(|error| unlockable(database, error))
}

pub(super) fn unlockable(database: &Path, error: io::Error) -> OpenError {
    OpenError {
        path: beside(database, ".lock"),
        why: error.into(),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE);
    options
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether the disk, or the file's limit, leaves no room. The file that SQLite keeps beside a log (`-shm`) cannot grow either
/// then, which it tells as an I/O error.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull) || extended == Some(SQLITE_IOERR_SHMSIZE)
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom,
            _ => Self::Unwritable(error),
        }
    }
}

impl From<rusqlite::Error> for Why {
    fn from(error: rusqlite::Error) -> Self {
        if is_full(&error) {
            return Self::NoRoom;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::ReadOnly,
            _ => Self::Sqlite(error),
        }
    }
}
