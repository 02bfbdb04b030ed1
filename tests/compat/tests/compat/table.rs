//! The table of docs/COMPATIBILITY.md: a row per direction and case, a column per version. A run compares its column with
//! the document, or, with `COMPAT_TABLE=write` (`make compat-table`), writes it there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

/// Every version that has a column.
pub(crate) const VERSIONS: [&str; 6] = ["5.2.7", "5.3.6", "5.4.0", "5.5.3", "5.6.3", crate::venv::NEWEST];

const BEGIN: &str = "<!-- celery-versions: begin -->\n";
const END: &str = "<!-- celery-versions: end -->";

/// Tests of several versions may write at once.
static DOCUMENT: Mutex<()> = Mutex::new(());

/// What one version did: direction, case, outcome.
#[derive(Debug, Default)]
pub(crate) struct Column(Vec<[String; 3]>);

impl Column {
    pub(crate) fn add(&mut self, direction: &str, case: &str, outcome: impl Into<String>) {
        self.0
            .push([direction.to_owned(), case.to_owned(), outcome.into()]);
    }

    /// The cases of a Python program, as it printed them.
    pub(crate) fn extend(&mut self, direction: &str, cases: &Map<String, Value>) {
        for (case, outcome) in cases {
            self.add(direction, case, outcome.as_str().expect("an outcome is a text"));
        }
    }

    /// Compares with the document, or writes there. What is said in the document explains every cell that is not `yes`.
    pub(crate) fn settle(mut self, version: &str) {
        self.0.sort();
        let _writing = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
        let document = fs::read_to_string(path()).expect("docs/COMPATIBILITY.md");
        let mut table = Table::of(&document);
        if std::env::var_os("COMPAT_TABLE").is_some_and(|what| what == "write") {
            table.replace(version, self.0);
            fs::write(path(), table.within(&document)).expect("docs/COMPATIBILITY.md is written");
        } else {
            assert_eq!(
                self.0,
                table.column(version),
                "what Celery {version} did (left) and docs/COMPATIBILITY.md (right); `make compat-table` writes the document"
            );
        }
    }
}

/// Rows of direction, case, and an outcome per version.
#[derive(Debug)]
struct Table(Vec<Vec<String>>);

impl Table {
    fn of(document: &str) -> Self {
        let (_, rest) = document.split_once(BEGIN).expect("the begin of the table");
        let (table, _) = rest.split_once(END).expect("the end of the table");
        let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
        Self(rows.map(cells).collect())
    }

    fn column(&self, version: &str) -> Vec<[String; 3]> {
        let at = 2 + VERSIONS
            .iter()
            .position(|known| *known == version)
            .expect("a known version");
        let rows = self.0.iter();
        rows.map(|row| [row[0].clone(), row[1].clone(), row[at].clone()])
            .collect()
    }

    /// Cases that are no longer there go, new ones are empty in the other columns.
    fn replace(&mut self, version: &str, column: Vec<[String; 3]>) {
        let at = 2 + VERSIONS
            .iter()
            .position(|known| *known == version)
            .expect("a known version");
        let rows = column.into_iter().map(|[direction, case, outcome]| {
            let known = self.0.iter().find(|row| row[0] == direction && row[1] == case);
            let mut row = known.cloned().unwrap_or_else(|| {
                let mut row = vec![String::new(); 2 + VERSIONS.len()];
                row[0].clone_from(&direction);
                row[1].clone_from(&case);
                row
            });
            row[at] = outcome;
            row
        });
        self.0 = rows.collect();
    }

    fn within(&self, document: &str) -> String {
        let (before, rest) = document.split_once(BEGIN).expect("the begin of the table");
        let (_, after) = rest.split_once(END).expect("the end of the table");
        let head = ["direction", "case"].into_iter().chain(VERSIONS);
        let mut lines = vec![line(head), line(["---"].repeat(2 + VERSIONS.len()).into_iter())];
        lines.extend(self.0.iter().map(|row| line(row.iter().map(String::as_str))));
        format!("{before}{BEGIN}{}{END}{after}", lines.concat())
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

/// Every version has its column, every cell says something, and what is not `yes` is explained.
#[test]
fn no_cell_is_empty_or_unexplained() {
    let document = fs::read_to_string(path()).expect("docs/COMPATIBILITY.md");
    let (_, rest) = document.split_once(BEGIN).expect("the begin of the table");
    let head = rest.lines().next().expect("a head");
    assert_eq!(cells(head)[2..], VERSIONS);
    let (_, explained) = rest.split_once(END).expect("the end of the table");
    let rows = Table::of(&document).0;
    assert!(!rows.is_empty());
    for row in rows {
        assert_eq!(row.len(), 2 + VERSIONS.len(), "{row:?}");
        for outcome in &row[2..] {
            let is_explained = outcome == "yes" || explained.contains(&format!("| {outcome} |"));
            assert!(!outcome.is_empty() && is_explained, "{row:?}: {outcome:?}");
        }
    }
}
