//! Records as rows of the spool.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use crate::audit_log::record::AuditRecord;
use crate::verdict::Verdict;

/// The version of [`SCHEMA`].
pub(super) const VERSION: i32 = 1;

/// The tables. `spool` never uses a number twice, so that the order of numbers is the order of arrival. Times are texts
/// because they may exceed SQLite's integers.
pub(super) const SCHEMA: &str = "
    CREATE TABLE spool (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id TEXT NOT NULL,
        start_time_ns TEXT NOT NULL,
        station_id TEXT NOT NULL,
        driver_token TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('allowed', 'not_allowed', 'invalid', 'unknown')),
        callback_status TEXT NOT NULL,
        callback_url TEXT NOT NULL
    ) STRICT;
    CREATE TABLE refused (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id TEXT NOT NULL,
        start_time_ns TEXT NOT NULL,
        station_id TEXT NOT NULL,
        driver_token TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('allowed', 'not_allowed', 'invalid', 'unknown')),
        callback_status TEXT NOT NULL,
        callback_url TEXT NOT NULL,
        reason TEXT NOT NULL,
        refused_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    ) STRICT;
";

/// Records in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Spooled {
    pub(crate) ids: Vec<i64>,
    pub(crate) records: Vec<AuditRecord>,
}

pub(super) fn insert(connection: &Connection, record: &AuditRecord) -> rusqlite::Result<()> {
    let sql = "INSERT INTO spool (task_id, start_time_ns, station_id, driver_token, status, callback_status, callback_url)
               VALUES (?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![
        record.task_id,
        record.start_time_ns.to_string(),
        record.station_id,
        record.driver_token,
        record.status.as_str(),
        record.callback_status,
        record.callback_url,
    ])?;
    Ok(())
}

pub(super) fn insert_refused(
    connection: &Connection,
    (record, reason): &(AuditRecord, String),
) -> rusqlite::Result<()> {
    insert(connection, record)?;
    set_aside(connection, connection.last_insert_rowid(), reason)
}

pub(super) fn oldest(connection: &Connection, after: i64, limit: usize) -> rusqlite::Result<Spooled> {
    let mut select = connection.prepare_cached("SELECT * FROM spool WHERE id > ? ORDER BY id LIMIT ?")?;
    let rows = select.query_map([after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok((row.get("id")?, read(row)?))
    })?;
    let (ids, records) = rows
        .collect::<rusqlite::Result<Vec<(i64, AuditRecord)>>>()?
        .into_iter()
        .unzip();
    Ok(Spooled { ids, records })
}

pub(super) fn remove(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM spool WHERE id = ?")?
        .execute([id])?;
    Ok(())
}

pub(super) fn set_aside(connection: &Connection, id: i64, reason: &str) -> rusqlite::Result<()> {
    let fields = "task_id, start_time_ns, station_id, driver_token, status, callback_status, callback_url";
    let sql = format!("INSERT INTO refused ({fields}, reason) SELECT {fields}, ? FROM spool WHERE id = ?");
    connection.prepare_cached(&sql)?.execute(params![reason, id])?;
    remove(connection, id)
}

/// Returns how many records wait and how many are refused.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<(u32, u32)> {
    let sql = "SELECT (SELECT count(*) FROM spool), (SELECT count(*) FROM refused)";
    connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    let start_time_ns: String = row.get("start_time_ns")?;
    let status: String = row.get("status")?;
    Ok(AuditRecord {
        task_id: row.get("task_id")?,
        start_time_ns: start_time_ns
            .parse()
            .map_err(|error| unreadable(Box::new(error)))?,
        station_id: row.get("station_id")?,
        driver_token: row.get("driver_token")?,
        status: Verdict::from_word(&status)
            .ok_or_else(|| unreadable(format!("{status:?} is not a verdict").into()))?,
        callback_status: row.get("callback_status")?,
        callback_url: row.get("callback_url")?,
    })
}

fn unreadable(why: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why)
}
