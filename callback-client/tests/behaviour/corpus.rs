//! The recorded cases and their results: every line is run, or reported with the reason why it is not.

use std::collections::BTreeMap;

use serde_json::Value;

/// Returns the lines of a file in tests/golden.
pub(crate) fn read(name: &str) -> Vec<Value> {
    let path = format!("{}/../tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Returns a text field, empty if there is none.
pub(crate) fn text<'v>(row: &'v Value, name: &str) -> &'v str {
    row[name].as_str().unwrap_or_default()
}

/// The results of the cases of one file.
#[derive(Default)]
pub(crate) struct Books {
    as_recorded: usize,
    deviating: BTreeMap<&'static str, Vec<String>>,
    not_run: BTreeMap<&'static str, Vec<String>>,
    wrong: Vec<String>,
}

impl Books {
    /// Records a case whose result must be the recorded one.
    pub(crate) fn same(&mut self, case: &str, recorded: impl Into<String>, ours: impl Into<String>) {
        let (recorded, ours) = (recorded.into(), ours.into());
        if recorded == ours {
            self.as_recorded += 1;
        } else {
            self.wrong
                .push(format!("{case}:\n  recorded {recorded}\n  ours     {ours}"));
        }
    }

    /// Records a case in which we decided to deviate from Python, for this reason.
    pub(crate) fn deviates(
        &mut self,
        case: &str,
        reason: &'static str,
        expected: impl Into<String>,
        ours: impl Into<String>,
    ) {
        let (expected, ours) = (expected.into(), ours.into());
        if expected == ours {
            self.deviating.entry(reason).or_default().push(case.to_owned());
        } else {
            self.wrong.push(format!(
                "{case} ({reason}):\n  expected {expected}\n  ours     {ours}"
            ));
        }
    }

    /// Records a case that cannot be replayed here.
    pub(crate) fn not_run(&mut self, case: &str, reason: &'static str) {
        self.not_run.entry(reason).or_default().push(case.to_owned());
    }

    /// Prints the sums; panics if a case is wrong, or if the sums do not add up to the file.
    pub(crate) fn close(self, file: &str, lines: usize) {
        let sum = |groups: &BTreeMap<_, Vec<String>>| groups.values().map(Vec::len).sum::<usize>();
        let (deviating, not_run) = (sum(&self.deviating), sum(&self.not_run));
        println!(
            "{file}: {lines} cases, {} as recorded, {deviating} deviating by decision, {not_run} not run",
            self.as_recorded
        );
        for (what, groups) in [("deviating", &self.deviating), ("not run", &self.not_run)] {
            for (reason, cases) in groups {
                println!("  {what} ({}): {reason}: {}", cases.len(), cases.join(", "));
            }
        }
        assert!(
            self.wrong.is_empty(),
            "{} cases are wrong:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
        assert_eq!(
            self.as_recorded + deviating + not_run,
            lines,
            "a case of {file} is not accounted for"
        );
    }
}

/// Returns the bytes of a Python `str` or `bytes` literal in the form of `repr`. For a `str`, these are its bytes in
/// latin-1 if possible, else in UTF-8.
pub(crate) fn python_literal(literal: &str) -> Vec<u8> {
    let inner = literal.trim_start_matches('b');
    let inner = &inner[1..inner.len() - 1];
    let mut characters = inner.chars();
    let mut text = String::new();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let digits = match characters.clone().next() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        let escape = characters.next().unwrap();
        text.push(match escape {
            _ if digits > 0 => {
                let hex: String = characters.by_ref().take(digits).collect();
                char::from_u32(u32::from_str_radix(&hex, 16).unwrap()).unwrap()
            }
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            other => other,
        });
    }
    let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    latin1.unwrap_or_else(|| text.into_bytes())
}
