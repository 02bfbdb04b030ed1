//! Opening the file: whose it is, what is in it, and what is in the way.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use service_kit::check;

/// Marks the file as ours: "cpau".
const APPLICATION_ID: i32 = 0x6370_6175;

/// Counts the changes of [`SCHEMA`].
const VERSION: i32 = 1;

/// `queue` numbers its rows without ever using a number twice, so that the order of arrival is the order of numbers.
const SCHEMA: &str = "
    CREATE TABLE allow_list (
        station TEXT NOT NULL,
        token TEXT NOT NULL,
        PRIMARY KEY (station, token)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE queue (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        message TEXT NOT NULL
    ) STRICT;
    CREATE TABLE dead_letter (
        id INTEGER PRIMARY KEY,
        message TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE audit_log (
        start_time_ns INTEGER NOT NULL,
        station_id TEXT NOT NULL,
        driver_token TEXT NOT NULL,
        status TEXT NOT NULL,
        callback_status TEXT NOT NULL,
        callback_url TEXT NOT NULL,
        PRIMARY KEY (start_time_ns, station_id, driver_token)
    ) STRICT, WITHOUT ROWID;
";

/// How long to wait for another program that has the file locked, such as a `sqlite3` shell.
const BUSY: Duration = Duration::from_secs(2);

/// A file that is open for one process.
pub(super) struct OpenFile {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    /// Keeps other processes out as long as it is open.
    pub(super) lock: File,
}

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) struct OpenError {
    path: PathBuf,
    why: Why,
}

/// What is wrong, and what to do unless another file is chosen.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("another standalone process{} has it open; stop that one, or", .0.pid.as_ref().map(|pid| format!(" ({pid})")).unwrap_or_default())]
    InUse(Holder),
    #[error("{} cannot be written: {error}; check the permissions of its directory, or", .path.display())]
    Unwritable { path: PathBuf, error: io::Error },
    #[error("it cannot be written; check its permissions, or")]
    ReadOnly,
    #[error("it is not an SQLite database; move it away, or")]
    NotADatabase,
    #[error("it is the database of another program;")]
    Foreign,
    #[error("a newer version of this program has written it; start that one, or")]
    Newer,
    #[error("there is none; start the services first, or")]
    Missing,
    #[error("{0};")]
    Sqlite(rusqlite::Error),
    #[error("there is no thread for it: {0}; free some resources, or")]
    NoThread(io::Error),
}

/// The process that has the file open.
#[derive(Debug)]
pub(crate) struct Holder {
    pid: Option<String>,
}

/// What is at the path of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// A database of ours.
    Ours,
    /// Nothing yet, but there could be one.
    New,
}

pub(super) fn open(path: &Path) -> Result<OpenFile, OpenError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let opened = || {
        let lock = lock(&path)?;
        let writer = connect(&path, OpenFlags::SQLITE_OPEN_CREATE)?;
        set_up(&writer)?;
        let reader = connect(&path, OpenFlags::empty())?;
        reader.pragma_update(None, "query_only", true)?;
        Ok(OpenFile { writer, reader, lock })
    };
    opened().map_err(|why| OpenError {
        path: path.clone(),
        why,
    })
}

/// Opens the file to look at it, whether or not the services run on it.
pub(crate) fn view(path: &Path) -> Result<Connection, OpenError> {
    let viewed = || {
        if !path.exists() {
            return Err(Why::Missing);
        }
        let connection = connect(path, OpenFlags::empty())?;
        match owner(&connection)? {
            Owner::Us => {}
            Owner::Nobody => return Err(Why::Missing),
        }
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    };
    viewed().map_err(|why| OpenError {
        path: path.to_owned(),
        why,
    })
}

/// Looks at whether the file could be opened, or made where there is none. Makes none.
pub(crate) fn look(path: &Path) -> Result<Looked, OpenError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let looked = || {
        if let Some(holder) = holder(&path) {
            return Err(Why::InUse(holder));
        }
        for path in [&path, &lock_file(&path)] {
            check::writable(path).map_err(|error| Why::Unwritable {
                path: path.clone(),
                error,
            })?;
        }
        if !path.exists() {
            return Ok(Looked::New);
        }
        let connection = connect(&path, OpenFlags::empty())?;
        let owner = owner(&connection)?;
        if connection.is_readonly("main")? {
            return Err(Why::ReadOnly);
        }
        Ok(match owner {
            Owner::Us => Looked::Ours,
            Owner::Nobody => Looked::New,
        })
    };
    looked().map_err(|why| OpenError {
        path: path.clone(),
        why,
    })
}

/// The process that has the file open, if there is one.
pub(crate) fn holder(database: &Path) -> Option<Holder> {
    let mut file = File::open(lock_file(database)).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Some(Holder::noted_in(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn lock_file(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    name.into()
}

/// A lock on a file beside the database: a lock on the database itself would get in the way of SQLite's own.
fn lock(database: &Path) -> Result<File, Why> {
    let path = lock_file(database);
    let unwritable = |error| Why::Unwritable {
        path: path.clone(),
        error,
    };
    let options = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let mut file = options.map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => {
            let note = file
                .set_len(0)
                .and_then(|()| write!(file, "{}", std::process::id()));
            note.map_err(unwritable)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(Why::InUse(Holder::noted_in(&mut file))),
        Err(TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

fn connect(path: &Path, extra: OpenFlags) -> Result<Connection, Why> {
    // `open` made the path absolute, so that no name, such as `:memory:`, has a meaning of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
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
        (APPLICATION_ID, VERSION) => Ok(Owner::Us),
        (APPLICATION_ID, _) => Err(Why::Newer),
        (0, 0) if empty()? => Ok(Owner::Nobody),
        _ => Err(Why::Foreign),
    }
}

fn set_up(connection: &Connection) -> Result<(), Why> {
    let owner = owner(connection)?;
    if connection.is_readonly("main")? {
        return Err(Why::ReadOnly);
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // In this mode a commit returns after its fsync.
    connection.pragma_update(None, "synchronous", "FULL")?;
    if let Owner::Nobody = owner {
        let mark = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};");
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} {mark} COMMIT"))?;
    }
    Ok(())
}

impl Holder {
    fn noted_in(lock: &mut File) -> Self {
        let mut pid = String::new();
        let read = lock.rewind().and_then(|()| lock.read_to_string(&mut pid));
        let known = read.is_ok() && !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        Self {
            pid: known.then_some(pid),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

impl OpenError {
    /// What is wrong and what to do, without the path.
    pub(crate) fn reason(&self) -> String {
        format!(
            "{} choose another file with --database or STANDALONE_DATABASE",
            self.why
        )
    }

    pub(super) fn no_thread(path: &Path, error: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            why: Why::NoThread(error),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        let Err(error) = open(path) else {
            panic!("{} was opened", path.display())
        };
        error.to_string()
    }

    #[test]
    fn a_second_process_is_told_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let first = open(&path).unwrap();
        assert_eq!(
            refused(&path),
            format!(
                "cannot use the database {}: another standalone process ({}) has it open; stop that one, or choose \
                 another file with --database or STANDALONE_DATABASE",
                path.display(),
                std::process::id()
            )
        );
        drop(first);
        open(&path).unwrap();
    }

    #[test]
    fn what_is_in_the_way_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(
            at("text"),
            "no database, but a text that is long enough to be told from one".repeat(20),
        )
        .unwrap();
        let foreign = Connection::open(at("foreign")).unwrap();
        foreign.execute_batch("CREATE TABLE theirs (a)").unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        let newer = open(&at("newer")).unwrap();
        newer.writer.pragma_update(None, "user_version", 2).unwrap();
        drop(newer);
        for (name, reason) in [
            (
                "text",
                "it is not an SQLite database; move it away, or choose another file with --database",
            ),
            (
                "foreign",
                "it is the database of another program; choose another file",
            ),
            ("directory", "unable to open database file"),
            ("no/such/place", "cannot be written: No such file or directory"),
            (
                "newer",
                "a newer version of this program has written it; start that one, or choose",
            ),
        ] {
            let said = refused(&at(name));
            assert!(
                said.contains(reason) && said.contains("--database") && !said.contains('\n'),
                "{name}: {said}"
            );
        }
    }

    #[test]
    fn a_look_tells_what_opening_would_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let files = || std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(look(&path).unwrap(), Looked::New);
        assert_eq!(files(), 0);
        let open_file = open(&path).unwrap();
        let why = look(&path).unwrap_err().reason();
        let holder = format!(
            "another standalone process ({}) has it open; stop",
            std::process::id()
        );
        assert!(why.starts_with(&holder), "{why}");
        drop(open_file);
        let before = files();
        assert_eq!(look(&path).unwrap(), Looked::Ours);
        assert_eq!(files(), before);
        let nowhere = look(Path::new("/no/such/place/a.db")).unwrap_err().to_string();
        assert!(nowhere.contains("No such file or directory"), "{nowhere}");
        std::fs::write(&path, "text".repeat(1000)).unwrap();
        let text = look(&path).unwrap_err().to_string();
        assert!(text.contains("it is not an SQLite database"), "{text}");
    }

    #[test]
    fn only_a_database_of_ours_can_be_viewed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        assert!(view(&path).unwrap_err().to_string().contains("there is none"));
        drop(open(&path).unwrap());
        let viewed = view(&path).unwrap();
        assert!(viewed.execute("DELETE FROM queue", []).is_err());
    }
}
