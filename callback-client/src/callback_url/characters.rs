//! Every code point at every position of a URL: our judgement compared with Python's (behaviour 1).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use super::corpus::wtf8_of_surrogate;
use super::{Judgement, judge_wtf8, validate};

const CHARACTERS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/golden/callback-url-characters.jsonl"
));

const CODE_POINTS: usize = 0x11_0000;

/// One line of the file.
struct Position {
    name: String,
    before: String,
    after: String,
    /// Indexed by code point.
    accepted: Vec<bool>,
}

impl Position {
    fn parse(line: &str) -> Self {
        let row: Value = serde_json::from_str(line).unwrap();
        let (before, after) = row["url_format"].as_str().unwrap().split_once("<C>").unwrap();
        let hex = |digits| usize::from_str_radix(digits, 16).unwrap();
        let mut accepted = vec![false; CODE_POINTS];
        for range in row["accepted_code_points_hex"]
            .as_str()
            .unwrap()
            .split_whitespace()
        {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            accepted[hex(first)..=hex(last)].fill(true);
        }
        Self {
            name: row["position"].as_str().unwrap().to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
            accepted,
        }
    }

    fn accepts(&self, c: char) -> bool {
        self.accepted[c as usize]
    }

    /// Returns whether each character is judged by itself, independently of its neighbours.
    fn takes_text(&self) -> bool {
        ["host_zone", "password", "path", "query_name", "query_value"].contains(&self.name.as_str())
    }

    fn judge(&self, text: impl IntoIterator<Item = char>) -> bool {
        let mut url = self.before.clone();
        url.extend(text);
        url.push_str(&self.after);
        validate(&url).is_some()
    }

    /// Returns whether the authority contains a backslash, for which we deviate from Python (design.md, "Deviations
    /// from Python").
    fn has_backslash_in_authority(&self, c: char) -> bool {
        self.before.contains('\\')
            || c == '\\' && ["host_zone", "password", "user_mid_alt2only"].contains(&&*self.name)
    }
}

/// The number of code points that a thread takes at a time.
const SHARE: usize = 0x4000;

/// Code points for which our judgement differs from Python's.
#[derive(Default)]
struct Findings {
    wrong: Vec<String>,
    /// The number of decided deviations, by position.
    deviating: BTreeMap<String, usize>,
}

impl Findings {
    /// Judges a URL for every code point. At positions that accept any text, the code points that should be accepted
    /// are first judged many at a time, which is faster.
    fn check(&mut self, position: &Position, codes: Range<usize>) {
        let characters: Vec<char> = codes
            .filter_map(|code| char::from_u32(u32::try_from(code).ok()?))
            .collect();
        for some in characters.chunks(128) {
            let accepted: Vec<bool> = some.iter().map(|&c| position.accepts(c)).collect();
            let text = || {
                some.iter()
                    .zip(&accepted)
                    .filter(|(_, accepted)| **accepted)
                    .map(|(c, _)| *c)
            };
            let are_accepted = position.takes_text() && text().next().is_some() && position.judge(text());
            for (&c, accepted) in some.iter().zip(accepted) {
                if !(accepted && are_accepted) && position.judge([c]) != accepted {
                    self.add(position, c, accepted);
                }
            }
        }
    }

    fn add(&mut self, position: &Position, c: char, accepted: bool) {
        if accepted && position.has_backslash_in_authority(c) {
            *self.deviating.entry(position.name.clone()).or_default() += 1;
        } else {
            self.wrong.push(format!("{} {:04X}", position.name, u32::from(c)));
        }
    }
}

#[test]
fn every_code_point_at_every_position() {
    const SHARES: usize = CODE_POINTS / SHARE;
    let positions: Vec<Position> = CHARACTERS.lines().map(Position::parse).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut findings = Findings::default();
        loop {
            let share = next.fetch_add(1, Ordering::Relaxed);
            let Some(position) = positions.get(share / SHARES) else {
                return findings;
            };
            let first = share % SHARES * SHARE;
            findings.check(position, first..first + SHARE);
        }
    };
    let findings: Vec<Findings> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut deviating: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, count) in findings.iter().flat_map(|findings| &findings.deviating) {
        *deviating.entry(name).or_default() += count;
    }
    let wrong: Vec<&String> = findings.iter().flat_map(|findings| &findings.wrong).collect();
    println!(
        "{} positions of 1,112,064 code points each, deviating: {deviating:?}",
        positions.len()
    );
    assert!(
        wrong.is_empty(),
        "{} wrong, the first: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(100)]
    );
    assert_eq!(positions.len(), 19);
    let expected = [
        ("host_zone", 1),
        ("password", 1),
        ("user_mid_after_backslash_dot", 113),
        ("user_mid_alt2only", 1),
    ];
    assert_eq!(deviating.into_iter().collect::<Vec<_>>(), expected);
}

/// A lone surrogate is judged as U+FFFD, so the file must accept both or neither.
#[test]
fn surrogates_are_judged_as_the_replacement_character_is() {
    for position in CHARACTERS.lines().map(Position::parse) {
        let expected = position.accepts(char::REPLACEMENT_CHARACTER);
        assert!(
            position.accepted[0xD800..=0xDFFF]
                .iter()
                .all(|&accepted| accepted == expected),
            "{}",
            position.name
        );
        for surrogate in 0xD800..=0xDFFF {
            let mut url = position.before.clone().into_bytes();
            url.extend(wtf8_of_surrogate(surrogate));
            url.extend(position.after.bytes());
            let is_valid = judge_wtf8(&url) != Judgement::Invalid;
            assert!(
                is_valid == (expected && !position.before.contains('\\')),
                "{} {surrogate:X}",
                position.name
            );
        }
    }
}
