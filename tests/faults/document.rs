//! The rows for the table of docs/RELIABILITY.md. A run does not compare its figures with the table, because
//! they vary. With `FAULT_TABLE=write` (`make fault-table`) it writes its rows there.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ledger::Figures;
use crate::table::{COLUMNS, FAULTS, LOST, MARKS, path, rows, split};

static DOCUMENT: Mutex<()> = Mutex::new(());

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    cells: Vec<String>,
}

impl Row {
    pub(crate) fn new(fault: &str, figures: &Figures, recovery: Duration) -> Self {
        let (callbacks, records) = (figures.duplicate_callbacks, figures.duplicate_records);
        let duplicated = match (callbacks, records) {
            (0, 0) => "0".to_owned(),
            _ => format!("{callbacks} callbacks, {records} records"),
        };
        let accepted = match figures.deleted {
            0 => figures.accepted.to_string(),
            deleted => format!("{}, {deleted} of them deleted", figures.accepted),
        };
        let cells = vec![
            fault.to_owned(),
            accepted,
            figures.refused.to_string(),
            figures.unanswered.to_string(),
            figures.called_back.to_string(),
            figures.logged.to_string(),
            figures.lost.to_string(),
            duplicated,
            format!("{:.1} s", recovery.as_secs_f64()),
        ];
        Self { cells }
    }
}

/// The minimum duration of the load of a row, from `FAULT_SECONDS`.
pub(crate) fn seconds() -> Duration {
    let seconds = std::env::var_os("FAULT_SECONDS").and_then(|seconds| seconds.to_str()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(25))
}

/// Prints the row, asserts that nothing was lost, and writes the row into the document if that was requested.
pub(crate) fn settle(row: &Row) {
    println!("{}", line(&row.cells));
    assert!(FAULTS.contains(&row.cells[0].as_str()), "{row:?}");
    assert_eq!(row.cells[LOST], "0", "{row:?}");
    if std::env::var_os("FAULT_TABLE").is_none_or(|what| what != "write") {
        return;
    }
    let _writing = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let document = fs::read_to_string(path()).unwrap();
    let [before, _, after] = split(&document);
    let mut known = rows(&document);
    known.retain(|cells| cells[0] != row.cells[0]);
    known.push(row.cells.clone());
    known.sort_by_key(|cells| FAULTS.iter().position(|fault| *fault == cells[0]));
    let head = COLUMNS.map(str::to_owned);
    let rule = COLUMNS.map(|_| "---".to_owned());
    let table: Vec<String> = [&head[..], &rule[..]]
        .into_iter()
        .chain(known.iter().map(Vec::as_slice))
        .map(line)
        .collect();
    let [begin, end] = MARKS;
    fs::write(path(), format!("{before}{begin}{}{end}{after}", table.concat())).unwrap();
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}
