//! A lock on a file beside the database, so that only one process at a time uses it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::holder::Holder;
use super::open_error::Why;

/// Returns the process that has the file open, if there is one.
pub(crate) fn holder(database: &Path) -> Option<Holder> {
    let mut file = File::open(lock_file(database)).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Some(Holder::noted_in(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

pub(super) fn lock_file(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    name.into()
}

/// Locks a file beside the database. A lock on the database itself would interfere with SQLite's own.
pub(super) fn lock(database: &Path) -> Result<File, Why> {
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
