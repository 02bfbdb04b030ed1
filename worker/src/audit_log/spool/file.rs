//! The file of a spool: its owner, its contents, and the errors that prevent its use.

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

/// The application id that marks the file as a spool: "cpsp".
const APPLICATION_ID: i32 = 0x6370_7370;

/// How long to wait for other processes that have locked the file: other workers, or a `sqlite3` shell.
const BUSY: Duration = Duration::from_secs(2);

/// The number of pages per MiB; a page has 4 KiB.
const PAGES_PER_MIB: u32 = 256;

/// The mode of the file, private because it contains tokens of drivers.
const MODE: u32 = 0o600;

/// The contents of a spool when it was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// The number of records that wait for the audit log.
    pub waiting: u32,
    /// The number of records that the audit log has refused.
    pub refused: u32,
}

/// The error if a spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the spool {path}", path = .path.display())]
pub struct OpenError {
    path: PathBuf,
    #[source]
    why: Why,
}

/// The reason. Advice follows it, so the underlying error is part of the text and not a source.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(
        "it is not writable: {0}; check its permissions and those of its directory, or set AUDIT_SPOOL to another file"
    )]
    Unwritable(io::Error),
    #[error(
        "it is not writable; check its permissions and those of its directory, or set AUDIT_SPOOL to another file"
    )]
    ReadOnly,
    #[error("it is not an SQLite database; move it away, or set AUDIT_SPOOL to another file")]
    NotADatabase,
    #[error("it belongs to another program; set AUDIT_SPOOL to another file")]
    Foreign,
    #[error(
        "it was written by a newer version of this program; let that version replay it, or set AUDIT_SPOOL to another file"
    )]
    Newer,
    #[error("its disk is full")]
    NoRoom,
    #[error(transparent)]
    Sqlite(rusqlite::Error),
}

impl OpenError {
    /// Returns whether the spool can be used as soon as its disk has room again.
    pub(super) fn is_for_lack_of_room(&self) -> bool {
        matches!(self.why, Why::NoRoom)
    }

    /// Returns the reason and the advice, without the path.
    #[cfg(feature = "servers")]
    pub(crate) fn reason(&self) -> String {
        explain(&self.why)
    }

    /// Returns whether the only trouble is that the file is not writable.
    pub fn is_unwritable(&self) -> bool {
        matches!(self.why, Why::Unwritable(_) | Why::ReadOnly)
    }
}

/// Checks that records could be written, and returns the contents of the file.
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

/// Opens the file, or creates it.
pub(super) fn open(path: &Path, max_mib: u32) -> Result<Connection, OpenError> {
    let until = Instant::now() + BUSY;
    loop {
        match opened(path, max_mib) {
            // Another process is setting it up; SQLite does not wait for that by itself.
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
        // Returns unused pages to the disk; must be set while the file is empty.
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

/// Creates the tables, unless another process has just created them.
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
    // The path is absolute, so that no name, such as `:memory:`, has a special meaning.
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

/// Opens the file whose lock is the right to replay. A lock on the database itself would conflict with SQLite's own.
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

/// Returns whether the disk, or the file's limit, leaves no room. In that case, the file that SQLite keeps beside a log
/// (`-shm`) cannot grow either, which SQLite reports as an I/O error.
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
