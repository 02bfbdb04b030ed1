//! Every URL that was put to Python (behaviour 1), and what we make of it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Judgement, judge, judge_wtf8};

const URLS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/golden/callback-urls.jsonl"
));
const SURROGATES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/golden/callback-urls-surrogate.jsonl"
));

/// Why our answer is not Python's (design.md, "Deviations from Python").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deviation {
    /// Python ends the authority at a backslash when it sends, but not when it validates.
    BackslashInAuthority,
    /// Python loses the request; we send UTF-8.
    CredentialsBeyondLatin1,
}

/// Compares one row's columns with our judgement.
fn check(row: &Value, judgement: &Judgement) -> Result<Option<Deviation>, String> {
    let url = row["url"].as_str().unwrap_or_default();
    let valid = row["v0.36_bracket_fixed_python"]
        .as_bool()
        .or(row["v0.36"].as_bool())
        .ok_or("no verdict")?;
    let requests = &row["requests"];
    match judgement {
        Judgement::Invalid if !valid => Ok(None),
        Judgement::Invalid if authority(url).contains('\\') => Ok(Some(Deviation::BackslashInAuthority)),
        Judgement::Unsendable { text } if valid && requests["text"] == **text => Ok(None),
        Judgement::Sendable(sent) if valid && requests["error"] == "builtins.UnicodeEncodeError" => {
            // Only the surrogate file has rows without the text of the exception and with a lone surrogate.
            let credentials = authority(url).split('@').next().unwrap_or_default();
            let basic = format!("Basic {}", STANDARD.encode(credentials));
            let is_right = requests["text"].is_null() || sent.authorization() == Some(basic.as_str());
            if is_right {
                Ok(Some(Deviation::CredentialsBeyondLatin1))
            } else {
                Err(format!("{sent:?}"))
            }
        }
        Judgement::Sendable(sent) if valid && (requests.is_null() || requests["url"] == sent.url) => {
            let dial = serde_json::json!([sent.host(), sent.port()]);
            let is_dialled = requests["dial"].is_null() || requests["dial"] == dial;
            let is_sent =
                requests["request_target"].is_null() || requests["request_target"] == sent.request_target();
            if is_dialled && is_sent {
                Ok(None)
            } else {
                Err(format!("{dial} {}", sent.request_target()))
            }
        }
        Judgement::Sendable(sent) => Err(sent.url.clone()),
        other => Err(format!("{other:?}")),
    }
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("//").map_or("", |(_, rest)| rest);
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

/// Checks every line of a file, and that exactly so many deviate.
fn check_file(file: &str, judge_row: impl Fn(&Value) -> Judgement, expected: &[(Deviation, usize)]) {
    let mut deviations = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut agreed = 0;
    for line in file.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        match check(&row, &judge_row(&row)) {
            Ok(None) => agreed += 1,
            Ok(Some(deviation)) => *deviations.entry(deviation).or_insert(0) += 1,
            Err(ours) => wrong.push(format!("{line}\n  ours: {ours}")),
        }
    }
    println!("{agreed} as Python, deviating: {deviations:?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(deviations.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(
        agreed + expected.iter().map(|(_, count)| count).sum::<usize>(),
        file.lines().count()
    );
}

#[test]
fn every_url() {
    let expected = [
        (Deviation::BackslashInAuthority, 16),
        (Deviation::CredentialsBeyondLatin1, 55),
    ];
    check_file(URLS, |row| judge(row["url"].as_str().unwrap()), &expected);
}

#[test]
fn every_url_with_a_lone_surrogate() {
    let expected = [(Deviation::CredentialsBeyondLatin1, 2)];
    check_file(
        SURROGATES,
        |row| judge_wtf8(&wtf8_of_json(row["url_json"].as_str().unwrap())),
        &expected,
    );
}

/// The text that a JSON string literal stands for; `serde_json` refuses lone surrogates.
fn wtf8_of_json(literal: &str) -> Vec<u8> {
    let mut units: Vec<u16> = Vec::new();
    let mut rest = literal.trim_matches('"');
    while let Some(c) = rest.chars().next() {
        let (unit, length) = match rest.strip_prefix("\\u") {
            Some(digits) => (u16::from_str_radix(&digits[..4], 16).unwrap(), 6),
            None => (u16::try_from(u32::from(c)).unwrap(), c.len_utf8()),
        };
        units.push(unit);
        rest = &rest[length..];
    }
    char::decode_utf16(units).fold(Vec::new(), |mut text, unit| {
        let code = unit.map_or_else(|lone| u32::from(lone.unpaired_surrogate()), u32::from);
        let mut buffer = [0; 4];
        match char::from_u32(code) {
            Some(c) => text.extend(c.encode_utf8(&mut buffer).bytes()),
            None => text.extend(wtf8_of_surrogate(code)),
        }
        text
    })
}

/// The three bytes that a lone surrogate has in WTF-8.
pub(super) fn wtf8_of_surrogate(code: u32) -> [u8; 3] {
    let continuation = |bits: u32| 0x80 | u8::try_from(bits & 0x3F).unwrap();
    [0xED, continuation(code >> 6), continuation(code)]
}
