//! Opening and checking the file.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use service_kit::check;

use super::lock::{holder, lock, lock_file};
use super::open_error::{OpenError, Why};
use super::schema::{Owner, owner, set_up};

/// How long to wait for another program that has the file locked, such as a `sqlite3` shell.
const BUSY: Duration = Duration::from_secs(2);

/// A file that is open for one process.
pub(super) struct OpenFile {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    /// Keeps other processes out while it is open.
    pub(super) lock: File,
}

/// The result of checking the path of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// One of our databases.
    Ours,
    /// Nothing yet, but a database could be created.
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
    opened().map_err(|why| OpenError::new(&path, why))
}

/// Opens the file for reading, whether or not the services are running on it.
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
    viewed().map_err(|why| OpenError::new(path, why))
}

/// Checks whether the file could be opened, or created if it does not exist. Creates nothing.
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
    looked().map_err(|why| OpenError::new(&path, why))
}

fn connect(path: &Path, extra: OpenFlags) -> Result<Connection, Why> {
    // The path is absolute here, so no name such as `:memory:` has a special meaning.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
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
    fn the_obstacle_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(
            at("text"),
            "not a database, but a text that is long enough to be distinguished from one".repeat(20),
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
            ("foreign", "it belongs to another program; choose another file"),
            ("directory", "unable to open database file"),
            ("no/such/place", "is not writable: No such file or directory"),
            (
                "newer",
                "it was written by a newer version of this program; start that version, or choose",
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
    fn a_look_reports_what_opening_would_and_leaves_nothing() {
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
        assert!(view(&path).unwrap_err().to_string().contains("it does not exist"));
        drop(open(&path).unwrap());
        let viewed = view(&path).unwrap();
        assert!(viewed.execute("DELETE FROM queue", []).is_err());
    }
}
