//! Masks the values in a snapshot that differ from run to run. Each value is checked before it is masked, so that a
//! wrong one remains visible.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use regex::{Captures, Regex};
use uuid::Uuid;

/// The greatest distance from now of a time that a test generated itself or gave to the program under test.
const NEAR: SignedDuration = SignedDuration::from_mins(5);

/// The text with placeholders for UUIDs, numbered in order of appearance so that repeated ones can be recognized; for
/// times close to now; for senders on this host; and for ports on the loopback address. Other values of the same form
/// are left unchanged.
pub fn redacted(text: &str) -> String {
    let mut known = HashMap::new();
    let text = replaced(
        text,
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\\b[0-9a-f]{32}\\b",
        |found| {
            let uuid = Uuid::parse_str(found).ok()?;
            let is_random = matches!(uuid.get_version_num(), 3 | 4);
            let next = known.len() + 1;
            is_random.then(|| format!("[uuid {}]", known.entry(uuid).or_insert(next)))
        },
    );
    let text = replaced(
        &text,
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00",
        |found| is_near(found.parse().ok()?).then(|| "[time]".to_owned()),
    );
    let text = replaced(&text, r"\b\d{19}\b", |found| {
        is_near(Timestamp::from_nanosecond(found.parse().ok()?).ok()?).then(|| "[time in ns]".to_owned())
    });
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let text = replaced(&text, r#"\bgen\d+@[^"\s]+"#, |found| {
        found
            .ends_with(&format!("@{}", host.trim()))
            .then(|| "[sender]".to_owned())
    });
    replaced(&text, r"127\.0\.0\.1:\d+", |found| {
        let port: u16 = found.split_once(':')?.1.parse().ok()?;
        (port > 1024).then(|| "127.0.0.1:[port]".to_owned())
    })
}

fn is_near(time: Timestamp) -> bool {
    time.duration_since(Timestamp::now()).abs() < NEAR
}

/// Replaces everything that matches and passes the check.
fn replaced(text: &str, pattern: &str, mut check: impl FnMut(&str) -> Option<String>) -> String {
    let pattern = Regex::new(pattern).expect("a pattern");
    let checked = |found: &Captures<'_>| check(&found[0]).unwrap_or_else(|| found[0].to_owned());
    pattern.replace_all(text, checked).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_right_is_masked() {
        let [one, two] = [Uuid::new_v4(), Uuid::new_v4()];
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let now = Timestamp::now();
        let text = format!(
            "{one} {two} {} gen12@{} {} 127.0.0.1:12345",
            one.simple(),
            host.trim(),
            now.as_nanosecond()
        );
        assert_eq!(
            redacted(&text),
            "[uuid 1] [uuid 2] [uuid 1] [sender] [time in ns] 127.0.0.1:[port]"
        );
        let wrong = "00000000-0000-0000-0000-000000000001 gen12@elsewhere.test 1000000000000000000 2001-01-01T00:00:00+00:00";
        assert_eq!(redacted(wrong), wrong);
    }
}
