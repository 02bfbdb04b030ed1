//! Accounts for every recorded case in a file: each line is run here, covered by another test, or listed with the reason
//! why it is not.

use std::collections::BTreeMap;
use std::path::Path;

/// A record in docs/adr and what it decides about a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision {
    /// The number of the record.
    pub adr: u16,
    /// A short summary of the decision.
    pub why: &'static str,
}

/// A reference to `docs/adr/<number>-….md` and its decision about a case. A test checks that a record exists for every
/// number used here.
pub const fn adr(number: u16, why: &'static str) -> Decision {
    Decision { adr: number, why }
}

/// The outcomes of the cases in one file.
#[derive(Debug, Default)]
pub struct Books {
    as_recorded: usize,
    deviating: BTreeMap<Decision, Vec<String>>,
    held: BTreeMap<(&'static str, Decision), Vec<String>>,
    not_run: BTreeMap<Decision, Vec<String>>,
    wrong: Vec<String>,
}

impl Books {
    /// Adds a case that must match the recording.
    pub fn same(&mut self, case: &str, recorded: impl Into<String>, ours: impl Into<String>) {
        let (recorded, ours) = (recorded.into(), ours.into());
        if recorded == ours {
            self.as_recorded += 1;
        } else {
            let case = shown(case);
            self.wrong
                .push(format!("{case}:\n  recorded {recorded}\n  ours     {ours}"));
        }
    }

    /// Adds a case that deviates from the recording by decision.
    pub fn deviates(
        &mut self,
        case: &str,
        decision: Decision,
        expected: impl Into<String>,
        ours: impl Into<String>,
    ) {
        let (expected, ours) = (expected.into(), ours.into());
        if expected == ours {
            self.deviating.entry(decision).or_default().push(shown(case));
        } else {
            let (case, Decision { adr, why }) = (shown(case), decision);
            self.wrong.push(format!(
                "{case} (ADR {adr}, {why}):\n  expected {expected}\n  ours     {ours}"
            ));
        }
    }

    /// Adds a case that needs more than this test provides and is run by another one: `test` is the path of a file in
    /// the project that names the case.
    pub fn held(&mut self, case: &str, test: &'static str, decision: Decision) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(test);
        match std::fs::read_to_string(&path) {
            Ok(source) if source.contains(case) => {
                self.held.entry((test, decision)).or_default().push(shown(case));
            }
            Ok(_) => self.wrong.push(format!("{case}: {test} does not name it")),
            Err(error) => self.wrong.push(format!("{case}: {test}: {error}")),
        }
    }

    /// Adds a case that cannot be run at all.
    pub fn not_run(&mut self, case: &str, decision: Decision) {
        self.not_run.entry(decision).or_default().push(shown(case));
    }

    /// Prints the totals, and each case that differs from the recording with its decision. Panics if a case came out
    /// wrong, or if the cases do not account for all `lines` of the file.
    #[expect(clippy::print_stdout, reason = "for the reader of the test's output")]
    pub fn close(self, file: &str, lines: usize) {
        let [deviating, not_run] = [&self.deviating, &self.not_run].map(|groups| count(groups.values()));
        let held = count(self.held.values());
        println!(
            "{file}: {lines} cases, {} as recorded, {deviating} deviating by decision, {held} held by other tests, \
             {not_run} not run\n{}",
            self.as_recorded,
            self.groups().join("\n")
        );
        assert!(
            self.wrong.is_empty(),
            "{} cases of {file} are wrong:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
        assert_eq!(
            self.as_recorded + deviating + held + not_run,
            lines,
            "a case of {file} is not accounted for"
        );
    }

    /// The cases that differ from the recording, one line per decision.
    fn groups(&self) -> Vec<String> {
        let line = |what: &str, Decision { adr, why }: &Decision, cases: &[String]| {
            format!(
                "  {what} ({}), ADR {adr}, {why}: {}",
                cases.len(),
                cases.join(", ")
            )
        };
        let deviating = self.deviating.iter();
        let held = self.held.iter();
        let not_run = self.not_run.iter();
        deviating
            .map(|(decision, cases)| line("deviating", decision, cases))
            .chain(held.map(|((test, decision), cases)| line(&format!("held by {test}"), decision, cases)))
            .chain(not_run.map(|(decision, cases)| line("not run", decision, cases)))
            .collect()
    }
}

fn count<'c>(groups: impl Iterator<Item = &'c Vec<String>>) -> usize {
    groups.map(Vec::len).sum()
}

/// The name of a case, cut to 60 characters.
fn shown(case: &str) -> String {
    match case.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &case[..end]),
        None => case.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECISION: Decision = adr(1, "because");

    #[test]
    fn every_line_is_accounted_for() {
        let mut books = Books::default();
        books.same("a", "x", "x");
        books.deviates("b", DECISION, "y", "y");
        books.held(
            "every_line_is_accounted_for",
            "tests/harness/src/books.rs",
            DECISION,
        );
        books.not_run("d", DECISION);
        books.close("four", 4);
    }

    #[test]
    #[should_panic(expected = "is not accounted for")]
    fn a_line_that_is_left_out_is_seen() {
        let mut books = Books::default();
        books.same("a", "x", "x");
        books.close("two", 2);
    }

    #[test]
    #[should_panic(expected = "a:\n  recorded x\n  ours     y")]
    fn a_difference_is_seen() {
        let mut books = Books::default();
        books.same("a", "x", "y");
        books.close("one", 1);
    }

    #[test]
    #[should_panic(expected = "Cargo.toml does not name it")]
    fn a_holder_that_does_not_know_the_case_is_seen() {
        let mut books = Books::default();
        books.held("no such case", "Cargo.toml", DECISION);
        books.close("one", 1);
    }
}
