//! The books kept over the recorded cases of a file: each line is run here, held by another test, or named with the
//! reason why not.

use std::collections::BTreeMap;
use std::path::Path;

/// A record of docs/adr and what it says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision {
    /// Its number.
    pub adr: u16,
    /// In a few words, what was decided.
    pub why: &'static str,
}

/// What `docs/adr/<number>-….md` says of a case. A test checks that every number given here is that of a record.
pub const fn adr(number: u16, why: &'static str) -> Decision {
    Decision { adr: number, why }
}

/// What became of the cases of one file.
#[derive(Debug, Default)]
pub struct Books {
    as_recorded: usize,
    deviating: BTreeMap<Decision, Vec<String>>,
    held: BTreeMap<(&'static str, Decision), Vec<String>>,
    not_run: BTreeMap<Decision, Vec<String>>,
    wrong: Vec<String>,
}

impl Books {
    /// A case that must come out as recorded.
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

    /// A case that must come out otherwise than recorded, as was decided.
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

    /// A case that needs more than this test has and is run by another one: `test` is the path of a file of the project,
    /// which names the case.
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

    /// A case that cannot be run at all.
    pub fn not_run(&mut self, case: &str, decision: Decision) {
        self.not_run.entry(decision).or_default().push(shown(case));
    }

    /// Prints the sums, and each case that is not as recorded with its decision. Panics on what came out wrong, and when
    /// the cases do not make up all `lines` of the file.
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

    /// The cases that are not as recorded, a line for each decision.
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

/// A case is named by up to 60 characters.
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
