//! Every recorded URL (behaviour 1): our judgement compared with Python's.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Judgement, judge_wtf8};

const URLS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/golden/callback-urls.jsonl"
));
const SURROGATES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/golden/callback-urls-surrogate.jsonl"
));

/// The reason why our judgement differs from Python's (design.md, "Deviations from Python").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deviation {
    /// Python ends the authority at a backslash when it sends, but not when it validates.
    BackslashInAuthority,
    /// Python loses the request; we send UTF-8.
    CredentialsBeyondLatin1,
}

/// Compares one row's columns with our judgement.
fn check(row: &Value, url: &[u8]) -> Result<Option<Deviation>, String> {
    let is_valid = row["v0.36_bracket_fixed_python"]
        .as_bool()
        .or(row["v0.36"].as_bool())
        .ok_or("no verdict")?;
    let authority = url.split(|b| b"/?#".contains(b)).nth(2).unwrap_or_default();
    let requests = &row["requests"];
    let is_right = |column: &str, ours: &Value| requests[column].is_null() || requests[column] == *ours;
    match judge_wtf8(url) {
        Judgement::Invalid if !is_valid => Ok(None),
        Judgement::Invalid if authority.contains(&b'\\') => Ok(Some(Deviation::BackslashInAuthority)),
        Judgement::Unsendable { text } if is_valid && requests["text"] == text => Ok(None),
        Judgement::Sendable(sent) if is_valid && requests["error"] == "builtins.UnicodeEncodeError" => {
            let credentials = authority.split(|&b| b == b'@').next().unwrap_or_default();
            let basic = format!("Basic {}", STANDARD.encode(credentials));
            if sent.authorization() == Some(basic.as_str()) {
                Ok(Some(Deviation::CredentialsBeyondLatin1))
            } else {
                Err(format!("{:?}", sent.authorization()))
            }
        }
        Judgement::Sendable(sent)
            if is_valid
                && requests["error"].is_null()
                && is_right("url", &json!(sent.url))
                && is_right("dial", &json!([sent.host(), sent.port()]))
                && is_right("request_target", &json!(sent.request_target())) =>
        {
            Ok(None)
        }
        Judgement::Sendable(sent) => Err(format!("{sent:?} {}", sent.url)),
        other => Err(format!("{other:?}")),
    }
}

/// Checks every line of a file, and that the numbers of deviations are exactly as expected.
fn check_file(file: &str, url: impl Fn(&Value) -> Vec<u8>, expected: &[(Deviation, usize)]) {
    let mut deviating: BTreeMap<Deviation, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut agreeing = 0;
    for line in file.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let url = url(&row);
        let shown = || String::from_utf8_lossy(&url).into_owned();
        match check(&row, &url) {
            Ok(None) => agreeing += 1,
            Ok(Some(deviation)) => deviating.entry(deviation).or_default().push(shown()),
            Err(ours) => wrong.push(format!("{line}\n  ours: {ours}")),
        }
    }
    println!("{agreeing} as Python, deviating: {deviating:#?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let counts: Vec<(Deviation, usize)> = deviating.iter().map(|(why, urls)| (*why, urls.len())).collect();
    assert_eq!(counts, expected);
    let deviations: usize = expected.iter().map(|(_, count)| count).sum();
    assert_eq!(agreeing + deviations, file.lines().count());
}

#[test]
fn every_url() {
    let expected = [
        (Deviation::BackslashInAuthority, 16),
        (Deviation::CredentialsBeyondLatin1, 55),
    ];
    check_file(URLS, |row| row["url"].as_str().unwrap().into(), &expected);
    assert_eq!(URLS.lines().count(), 3438);
}

#[test]
fn every_url_with_a_lone_surrogate() {
    let expected = [(Deviation::CredentialsBeyondLatin1, 2)];
    check_file(
        SURROGATES,
        |row| wtf8_of_json(row["url_json"].as_str().unwrap()),
        &expected,
    );
    assert_eq!(SURROGATES.lines().count(), 12);
}

/// Returns the text of a JSON string literal; `serde_json` refuses lone surrogates.
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

/// Returns the three bytes of a lone surrogate in WTF-8.
pub(super) fn wtf8_of_surrogate(code: u32) -> [u8; 3] {
    let continuation = |bits: u32| 0x80 | u8::try_from(bits & 0x3F).unwrap();
    [0xED, continuation(code >> 6), continuation(code)]
}
