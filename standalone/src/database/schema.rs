//! The contents of the file, and its owner.

use rusqlite::Connection;

use super::open_error::Why;

/// The mark of our files: "cpau".
const APPLICATION_ID: i32 = 0x6370_6175;

/// The version of [`SCHEMA`].
const VERSION: i32 = 1;

/// The tables. `queue` never reuses a row number, so the order of the numbers is the order of arrival.
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

/// The owner of a file.
pub(super) enum Owner {
    Us,
    Nobody,
}

pub(super) fn owner(connection: &Connection) -> Result<Owner, Why> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let empty = || connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0));
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION_ID, VERSION) => Ok(Owner::Us),
        (APPLICATION_ID, _) => Err(Why::Newer),
        (0, 0) if empty()? => Ok(Owner::Nobody),
        _ => Err(Why::Foreign),
    }
}

/// Creates the tables if there are none, and makes each commit wait for the disk.
pub(super) fn set_up(connection: &Connection) -> Result<(), Why> {
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
