//! The tables of docs/COMPATIBILITY.md: a row per direction and case, a column per version. A test run compares its column
//! with the document, or writes it there if `COMPAT_TABLE=write` is set (`make compat-table`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

/// A table in the document, between two markers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    mark: &'static str,
    columns: &'static [&'static str],
}

/// The table for Celery itself, with a column per version.
pub(crate) const CELERY: Place = Place {
    mark: "celery-versions",
    columns: &["5.2.7", "5.3.6", "5.4.0", "5.5.3", "5.6.3", crate::venv::NEWEST],
};

/// The table for the other Rust implementation of Celery.
pub(crate) const RUSTY_CELERY: Place = Place {
    mark: "rusty-celery",
    columns: &["0.5.5"],
};

/// Serializes access to the document, because tests of several versions may write at the same time.
static DOCUMENT: Mutex<()> = Mutex::new(());

/// The outcomes for one version: direction, case, outcome.
#[derive(Debug, Default)]
pub(crate) struct Column(Vec<[String; 3]>);

impl Column {
    pub(crate) fn add(&mut self, direction: &str, case: &str, outcome: impl Into<String>) {
        self.0
            .push([direction.to_owned(), case.to_owned(), outcome.into()]);
    }

    /// Adds the cases of a Python program, as it printed them.
    pub(crate) fn extend(&mut self, direction: &str, cases: &Map<String, Value>) {
        for (case, outcome) in cases {
            self.add(direction, case, outcome.as_str().expect("an outcome is a text"));
        }
    }

    /// Compares the column with the document, or writes it there. The text of the document explains every cell that is not
    /// `yes`.
    pub(crate) fn settle(mut self, place: Place, version: &str) {
        self.0.sort();
        let _writing = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
        let document = fs::read_to_string(path()).expect("docs/COMPATIBILITY.md");
        let mut table = Table::of(place, &document);
        if std::env::var_os("COMPAT_TABLE").is_some_and(|what| what == "write") {
            table.replace(version, self.0);
            fs::write(path(), table.within(&document)).expect("docs/COMPATIBILITY.md is written");
        } else {
            assert_eq!(
                self.0,
                table.column(version),
                "what version {version} did (left) and docs/COMPATIBILITY.md (right); `make compat-table` writes the document"
            );
        }
    }
}

impl Place {
    /// The parts of the document before, inside and after the table.
    fn split<'d>(&self, document: &'d str) -> [&'d str; 3] {
        let [begin, end] = self.marks();
        let parts = document.split_once(&begin);
        let (before, rest) = parts.unwrap_or_else(|| panic!("there is no {begin}"));
        let parts = rest.split_once(&end);
        let (table, after) = parts.unwrap_or_else(|| panic!("there is no {end}"));
        [before, table, after]
    }

    fn marks(&self) -> [String; 2] {
        ["begin", "end"].map(|what| format!("<!-- {}: {what} -->\n", self.mark))
    }

    fn column(&self, version: &str) -> usize {
        let at = self.columns.iter().position(|known| *known == version);
        2 + at.unwrap_or_else(|| panic!("{version} is none of {:?}", self.columns))
    }
}

/// Rows of direction, case, and an outcome per version.
#[derive(Debug)]
struct Table {
    place: Place,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn of(place: Place, document: &str) -> Self {
        let [_, table, _] = place.split(document);
        Self {
            place,
            rows: table.lines().skip(2).map(cells).collect(),
        }
    }

    fn column(&self, version: &str) -> Vec<[String; 3]> {
        let at = self.place.column(version);
        let rows = self.rows.iter();
        rows.map(|row| [row[0].clone(), row[1].clone(), row[at].clone()])
            .collect()
    }

    /// Replaces a column. Cases that no longer exist are removed; new ones are empty in the other columns.
    fn replace(&mut self, version: &str, column: Vec<[String; 3]>) {
        let at = self.place.column(version);
        let rows = column.into_iter().map(|[direction, case, outcome]| {
            let known = self.rows.iter().find(|row| row[0] == direction && row[1] == case);
            let mut row = known.cloned().unwrap_or_else(|| {
                let mut row = vec![String::new(); 2 + self.place.columns.len()];
                row[0].clone_from(&direction);
                row[1].clone_from(&case);
                row
            });
            row[at] = outcome;
            row
        });
        self.rows = rows.collect();
    }

    fn within(&self, document: &str) -> String {
        let [before, _, after] = self.place.split(document);
        let [begin, end] = self.place.marks();
        let columns = self.place.columns;
        let head = ["direction", "case"].iter().chain(columns).copied();
        let rule = ["---"].repeat(2 + columns.len());
        let mut lines = vec![line(head), line(rule.into_iter())];
        lines.extend(self.rows.iter().map(|row| line(row.iter().map(String::as_str))));
        format!("{before}{begin}{}{end}{after}", lines.concat())
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/COMPATIBILITY.md")
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim_start_matches("| ").trim_end_matches(" |");
    let cells = inner.split(" | ");
    cells.map(|cell| cell.replace("\\|", "|")).collect()
}

/// Checks that every version has a column, that no cell is empty, and that every cell other than `yes` is explained.
#[test]
fn no_cell_is_empty_or_unexplained() {
    let document = fs::read_to_string(path()).expect("docs/COMPATIBILITY.md");
    for place in [CELERY, RUSTY_CELERY] {
        let [_, table, explained] = place.split(&document);
        let head = table.lines().next().expect("a head");
        assert_eq!(cells(head)[2..], *place.columns);
        let rows = Table::of(place, &document).rows;
        assert!(!rows.is_empty());
        for row in rows {
            assert_eq!(row.len(), 2 + place.columns.len(), "{row:?}");
            for outcome in &row[2..] {
                let is_explained = outcome == "yes" || explained.contains(&format!("| {outcome} |"));
                assert!(!outcome.is_empty() && is_explained, "{row:?}: {outcome:?}");
            }
        }
    }
}
