//! The audit log in the database: the fields of the Redis hash, one row per authorization.

use std::fmt;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use worker::audit_log::{AuditError, AuditRecord, AuditSink, Fate};

use crate::database::{Database, DatabaseError};
use crate::terminal::plain;

/// Writes to the table `audit_log`. A record that is written again replaces the earlier one.
#[derive(Clone)]
pub(crate) struct SqliteAuditLog {
    pub(crate) database: Database,
}

impl AuditSink for SqliteAuditLog {
    async fn check(&self) -> Result<(), AuditError> {
        self.database.write(|_| Ok(())).await.map_err(failed)
    }

    async fn write(&self, records: &[AuditRecord]) -> Result<Vec<Fate>, AuditError> {
        let records = records.to_vec();
        let written = self
            .database
            .write(move |connection| records.iter().map(|record| insert(connection, record)).collect());
        written.await.map_err(failed)
    }
}

fn insert(connection: &Connection, record: &AuditRecord) -> rusqlite::Result<Fate> {
    let Ok(start_time_ns) = i64::try_from(record.start_time_ns) else {
        return Ok(Fate::Refused(format!(
            "{} ns does not fit into an SQLite integer",
            record.start_time_ns
        )));
    };
    let mut insert =
        connection.prepare_cached("INSERT OR REPLACE INTO audit_log VALUES (?, ?, ?, ?, ?, ?)")?;
    insert.execute(params![
        start_time_ns,
        record.station_id,
        record.driver_token,
        record.status.as_str(),
        record.callback_status,
        record.callback_url
    ])?;
    Ok(Fate::Written)
}

const STORE: &str = "the database";

fn failed(error: DatabaseError) -> AuditError {
    AuditError {
        store: STORE.to_owned(),
        source: error.into(),
    }
}

/// A stored record, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) start_time_ns: i64,
    pub(crate) station_id: String,
    pub(crate) driver_token: String,
    pub(crate) status: String,
    pub(crate) callback_status: String,
    pub(crate) callback_url: String,
}

impl Entry {
    /// Returns the newest records, oldest first.
    pub(crate) fn newest(connection: &Connection, count: u32) -> rusqlite::Result<Vec<Self>> {
        let mut select = connection.prepare("SELECT * FROM audit_log ORDER BY start_time_ns DESC LIMIT ?")?;
        let mut entries = select
            .query_map([count], Self::read)?
            .collect::<Result<Vec<_>, _>>()?;
        entries.reverse();
        Ok(entries)
    }

    /// Returns the newest record of a station.
    pub(crate) fn of_station(connection: &Connection, station: &str) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT * FROM audit_log WHERE station_id = ? ORDER BY start_time_ns DESC";
        connection
            .prepare(sql)?
            .query_map([station], Self::read)?
            .next()
            .transpose()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            start_time_ns: row.get("start_time_ns")?,
            station_id: row.get("station_id")?,
            driver_token: row.get("driver_token")?,
            status: row.get("status")?,
            callback_status: row.get("callback_status")?,
            callback_url: row.get("callback_url")?,
        })
    }
}

impl fmt::Display for Entry {
    /// Writes one line per field. Control characters are escaped, because the text comes from callers and is shown on a
    /// terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Timestamp::from_nanosecond(self.start_time_ns.into());
        let start = start.map(|start| format!(" ({start:.3})")).unwrap_or_default();
        writeln!(f, "start_time_ns    {}{start}", self.start_time_ns)?;
        writeln!(f, "station_id       {}", plain(&self.station_id))?;
        writeln!(f, "driver_token     {}", plain(&self.driver_token))?;
        writeln!(f, "status           {}", self.status)?;
        writeln!(f, "callback_status  {}", plain(&self.callback_status))?;
        write!(f, "callback_url     {}", plain(&self.callback_url))
    }
}

#[cfg(test)]
mod tests {
    use worker::verdict::Verdict;

    use super::*;

    fn record(start_time_ns: i128, status: Verdict) -> AuditRecord {
        AuditRecord {
            task_id: "task".to_owned(),
            start_time_ns,
            station_id: "station".to_owned(),
            driver_token: "token\u{1b}[2J".to_owned(),
            status,
            callback_status: "<Response [200]>".to_owned(),
            callback_url: "http://127.0.0.1:9000/".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_record_is_kept_once_and_shown_without_terminal_controls() {
        let directory = tempfile::tempdir().unwrap();
        let log = SqliteAuditLog {
            database: Database::open(&directory.path().join("a.db")).unwrap(),
        };
        log.check().await.unwrap();
        let start = 1_795_346_136_809_199_617;
        let records = [
            record(start + 1, Verdict::Unknown),
            record(start, Verdict::NotAllowed),
            record(start, Verdict::Allowed),
            record(i128::MAX, Verdict::Allowed),
        ];
        let fates = log.write(&records).await.unwrap();
        assert_eq!(fates[..3], [Fate::Written, Fate::Written, Fate::Written]);
        assert!(matches!(fates[3], Fate::Refused(_)));
        let entries = log
            .database
            .read(|connection| Entry::newest(connection, 10))
            .await
            .unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(
            entries[0].to_string(),
            "start_time_ns    1795346136809199617 (2026-11-22T11:15:36.809Z)\n\
             station_id       station\n\
             driver_token     token\\u{1b}[2J\n\
             status           allowed\n\
             callback_status  <Response [200]>\n\
             callback_url     http://127.0.0.1:9000/"
        );
        let newest = log
            .database
            .read(|connection| Entry::of_station(connection, "station"))
            .await
            .unwrap();
        assert_eq!(newest.unwrap().status, "unknown");
    }
}
