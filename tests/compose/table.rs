//! The table of brokers in docs/COMPATIBILITY.md: compared with what was seen, or, with `COMPAT_TABLE=write`, written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::engine::root;

const BEGIN: &str = "<!-- brokers: begin -->\n";
const END: &str = "<!-- brokers: end -->\n";

/// Outcomes by row and column.
#[derive(Default)]
pub(crate) struct Table {
    columns: Vec<String>,
    cells: BTreeMap<String, BTreeMap<String, String>>,
}

impl Table {
    pub(crate) fn add(&mut self, column: &str, outcomes: BTreeMap<String, String>) {
        self.columns.push(column.to_owned());
        for (row, outcome) in outcomes {
            self.cells
                .entry(row)
                .or_default()
                .insert(column.to_owned(), outcome);
        }
    }

    /// Compares or writes.
    pub(crate) fn close(&self) {
        let path = root().join("docs/COMPATIBILITY.md");
        let document = fs::read_to_string(&path).unwrap();
        let (before, rest) = document.split_once(BEGIN).expect("the table has a place");
        let (written, after) = rest.split_once(END).expect("the table has an end");
        let seen = self.text();
        if std::env::var_os("COMPAT_TABLE").is_some_and(|what| what == "write") {
            fs::write(&path, format!("{before}{BEGIN}{seen}{END}{after}")).unwrap();
        } else {
            assert!(
                written == seen,
                "docs/COMPATIBILITY.md should have this table; `COMPAT_TABLE=write make test-compose` writes it:\n{seen}"
            );
        }
    }

    fn text(&self) -> String {
        let mut text = format!("| combination | {} |\n", self.columns.join(" | "));
        writeln!(text, "| --- |{}", " --- |".repeat(self.columns.len())).unwrap();
        for (row, cells) in &self.cells {
            let cells: Vec<&str> = self
                .columns
                .iter()
                .map(|column| cells.get(column).map_or("–", String::as_str))
                .collect();
            writeln!(text, "| {row} | {} |", cells.join(" | ")).unwrap();
        }
        text
    }
}
