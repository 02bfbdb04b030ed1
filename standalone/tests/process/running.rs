//! A running `standalone`, and the contents of its file.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use harness::{Process, eventually, http};
use rusqlite::{Connection, OpenFlags};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_standalone");
/// The time limit for everything that must happen eventually, even on a busy machine.
pub(crate) const WAIT: Duration = Duration::from_mins(2);
pub(crate) const DRIVER: &str = "validDriverToken-0001";

/// Long limits, so that no verdict and no callback status depends on how busy the machine is.
const PATIENT: [(&str, &str); 2] = [
    ("AUTHORIZATION_TIMEOUT_SEC", "600"),
    ("CALLBACK_TIMEOUT_SEC", "120"),
];

/// The three services on free ports, with long time limits unless the environment sets others.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) api: String,
    pub(crate) acl: String,
}

impl Running {
    pub(crate) async fn start(database: &Path, environment: &[(&str, &str)]) -> Self {
        let arguments = [
            "--api-port",
            "0",
            "--acl-port",
            "0",
            "--database",
            database.to_str().unwrap(),
        ];
        let environment = PATIENT.iter().chain(environment).copied();
        let process = Process::spawn(PROGRAM, arguments, environment);
        process.wait_for_line("Press Ctrl-C to stop", WAIT).await;
        let url = |line: String| line.split_whitespace().last().unwrap_or_default().to_owned();
        let api = url(process.wait_for_line("public API", WAIT).await);
        let acl = url(process.wait_for_line("ACL service  http", WAIT).await);
        Self { process, api, acl }
    }

    pub(crate) fn acl_url(&self, station: &str, token: &str) -> String {
        format!("{}/station/{station}/driver/{token}/acl", self.acl)
    }

    pub(crate) async fn allow(&self, station: &str, token: &str) {
        let answer = http::put(&self.acl_url(station, token)).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "{\"num_added\":1}\n")
        );
    }

    /// Requests an authorization. Returns whether it was accepted.
    pub(crate) async fn ask(&self, station: &str, token: &str, callback_url: &str) -> anyhow::Result<bool> {
        let url = format!(
            "{}/station/{station}/driver/{token}/authorize?callback_url={callback_url}",
            self.api
        );
        Ok(http::try_send("GET", &url, &[], Vec::new()).await?.status == 200)
    }
}

/// Returns a separate station for each number.
pub(crate) fn station(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Returns the statuses of the audit records by station.
pub(crate) fn records(database: &Path) -> HashMap<String, Vec<String>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let mut select = connection
        .prepare("SELECT station_id, status FROM audit_log")
        .unwrap();
    let rows = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let mut records: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows {
        let (station, status) = row.unwrap();
        records.entry(station).or_default().push(status);
    }
    records
}

/// Returns how many requests are waiting.
pub(crate) fn waiting(database: &Path) -> u32 {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection
        .query_row("SELECT count(*) FROM queue", [], |row| row.get(0))
        .unwrap()
}

/// Waits until the queue is empty and returns the records.
pub(crate) async fn all_done(database: &Path) -> HashMap<String, Vec<String>> {
    eventually("an empty queue", WAIT, || async {
        match waiting(database) {
            0 => Ok(()),
            waiting => Err(format!("{waiting} requests are waiting")),
        }
    })
    .await;
    records(database)
}
