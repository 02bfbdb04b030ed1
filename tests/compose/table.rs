//! The table of brokers in docs/COMPATIBILITY.md: each test run compares its column with its own results, or
//! writes the column if `COMPAT_TABLE=write` is set.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::{Mutex, PoisonError};

use crate::engine::root;

const BEGIN: &str = "<!-- brokers: begin -->\n";
const END: &str = "<!-- brokers: end -->\n";
const COLUMNS: [&str; 5] = [
    "3.10 classic",
    "4.0 classic",
    "4.0 quorum",
    "4.3 classic",
    "4.3 quorum",
];

/// Serializes access to the document, because several deployments are tested at once.
static DOCUMENT: Mutex<()> = Mutex::new(());

/// Outcomes by row and column.
type Cells = BTreeMap<String, [String; COLUMNS.len()]>;

/// Compares the column with the document, or writes it.
pub(crate) fn column(name: &str, outcomes: &BTreeMap<String, String>) {
    let column = COLUMNS.iter().position(|column| *column == name).unwrap();
    let path = root().join("docs/COMPATIBILITY.md");
    let _writing = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the table has a place");
    let (written, after) = rest.split_once(END).expect("the table has an end");
    let mut cells = read(written);
    if std::env::var_os("COMPAT_TABLE").is_some_and(|what| what == "write") {
        for (row, outcome) in outcomes {
            let cells = cells
                .entry(row.clone())
                .or_insert_with(|| [(); 5].map(|()| "–".to_owned()));
            outcome.clone_into(&mut cells[column]);
        }
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", text(&cells))).unwrap();
    } else {
        let written: BTreeMap<String, String> = cells
            .into_iter()
            .map(|(row, cells)| (row, cells[column].clone()))
            .collect();
        assert_eq!(
            *outcomes, written,
            "what {name} did (left) and docs/COMPATIBILITY.md (right); `COMPAT_TABLE=write make test-compose` writes it"
        );
    }
}

fn read(table: &str) -> Cells {
    let mut found = Cells::new();
    for line in table.lines().skip(2) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (row, cells) = cells.split_first().unwrap();
        let cells: Vec<String> = cells.iter().map(|&cell| cell.to_owned()).collect();
        found.insert(
            (*row).to_owned(),
            cells.try_into().expect("a cell for each column"),
        );
    }
    found
}

fn text(cells: &Cells) -> String {
    let mut text = format!("| combination | {} |\n", COLUMNS.join(" | "));
    writeln!(text, "| --- |{}", " --- |".repeat(COLUMNS.len())).unwrap();
    for (row, cells) in cells {
        writeln!(text, "| {row} | {} |", cells.join(" | ")).unwrap();
    }
    text
}
