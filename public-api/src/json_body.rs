//! A request body, read as Flask reads JSON: UTF-8 (with or without a byte order mark), UTF-16 or UTF-32,
//! distinguished by the first bytes (`json.detect_encoding`); lone surrogates are kept.

use std::fmt::Write as _;

use celery_protocol::json::{self, JsonError};
use celery_protocol::{Text, Value};

/// The reason why a body is not JSON. Never quotes the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotJson {
    #[error("its bytes are not valid {0}")]
    Encoding(&'static str),
    #[error("{0}")]
    Syntax(JsonError),
}

/// Reads a body.
pub(crate) fn parse(body: &[u8]) -> Result<Value, NotJson> {
    let (name, code_points) = decode(body);
    let text = code_points.and_then(|code_points| escape_surrogates(&code_points));
    let text = text.ok_or(NotJson::Encoding(name))?;
    json::parse_untyped(text.as_bytes()).map_err(NotJson::Syntax)
}

fn decode(body: &[u8]) -> (&'static str, Option<Vec<u32>>) {
    match *body {
        [0, 0, 0xfe, 0xff, ref text @ ..] => ("UTF-32", utf32(text, u32::from_be_bytes)),
        [0xff, 0xfe, 0, 0, ref text @ ..] => ("UTF-32", utf32(text, u32::from_le_bytes)),
        [0xfe, 0xff, ref text @ ..] => ("UTF-16", utf16(text, u16::from_be_bytes)),
        [0xff, 0xfe, ref text @ ..] => ("UTF-16", utf16(text, u16::from_le_bytes)),
        [0xef, 0xbb, 0xbf, ref text @ ..] => ("UTF-8", utf8(text)),
        [0, 0, _, _, ..] => ("UTF-32", utf32(body, u32::from_be_bytes)),
        [0, _, _, _, ..] | [0, _] => ("UTF-16", utf16(body, u16::from_be_bytes)),
        [_, 0, 0, 0, ..] => ("UTF-32", utf32(body, u32::from_le_bytes)),
        [_, 0, _, _, ..] | [_, 0] => ("UTF-16", utf16(body, u16::from_le_bytes)),
        _ => ("UTF-8", utf8(body)),
    }
}

fn utf8(bytes: &[u8]) -> Option<Vec<u32>> {
    Some(Text::from_wtf8(bytes.to_vec())?.code_points().collect())
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Vec<u32>> {
    let (units, rest) = bytes.as_chunks();
    let units = units.iter().map(|bytes| unit(*bytes));
    let code_points = char::decode_utf16(units).map(|unit| match unit {
        Ok(character) => character.into(),
        Err(surrogate) => surrogate.unpaired_surrogate().into(),
    });
    rest.is_empty().then(|| code_points.collect())
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<Vec<u32>> {
    let (units, rest) = bytes.as_chunks();
    let code_points: Vec<u32> = units.iter().map(|bytes| unit(*bytes)).collect();
    let all_exist = code_points
        .iter()
        .all(|code_point| *code_point <= char::MAX.into());
    (rest.is_empty() && all_exist).then_some(code_points)
}

/// Escapes lone surrogates: JSON may contain one literally or as an escape, Rust text only as an escape. Returns `None`
/// if one follows a backslash, because that is not a valid escape.
fn escape_surrogates(code_points: &[u32]) -> Option<String> {
    let mut text = String::with_capacity(code_points.len());
    let mut after_backslash = false;
    for code_point in code_points {
        match char::from_u32(*code_point) {
            Some(character) => {
                text.push(character);
                after_backslash = character == '\\' && !after_backslash;
            }
            None if after_backslash => return None,
            None => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{code_point:04x}");
            }
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> String {
        match parse(body) {
            Ok(value) => json::to_json(&value),
            Err(error) => error.to_string(),
        }
    }

    fn utf16le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn every_encoding_of_json() {
        let utf32 = |text: &str| {
            text.chars()
                .flat_map(|character| u32::from(character).to_be_bytes())
                .collect()
        };
        let utf16be: Vec<u8> = "[\"é😀\"]".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let encoded: [Vec<u8>; 6] = [
            "[\"é😀\"]".into(),
            "\u{feff}[\"é😀\"]".into(),
            utf16le("[\"é😀\"]"),
            utf16le("\u{feff}[\"é😀\"]"),
            utf16be,
            utf32("\u{feff}[\"é😀\"]"),
        ];
        for body in encoded {
            assert_eq!(read(&body), "[\"\\u00e9\\ud83d\\ude00\"]", "{body:02x?}");
        }
        assert_eq!(read(b"1\0"), "1");
        assert_eq!(read(b"\x001"), "1");
    }

    #[test]
    fn lone_surrogates_stay() {
        let lone = "[\"\\ud800\"]";
        assert_eq!(read(b"[\"\\ud800\"]"), lone);
        assert_eq!(read(b"[\"\xed\xa0\x80\"]"), lone);
        let mut utf16 = utf16le("[\"x\"]");
        utf16[4..6].copy_from_slice(&0xd800_u16.to_le_bytes());
        assert_eq!(read(&utf16), lone);
        assert_eq!(read(b"[\"\\\\\xed\xa0\x80\"]"), "[\"\\\\\\ud800\"]");
    }

    #[test]
    fn what_is_not_text() {
        assert_eq!(read(b"[\"\xff\"]"), "its bytes are not valid UTF-8");
        assert_eq!(read(b"[\"\\\xed\xa0\x80\"]"), "its bytes are not valid UTF-8");
        assert_eq!(read(b"\xff\xfe[\0]"), "its bytes are not valid UTF-16");
        assert_eq!(read(b"\0\0\xfe\xff\0\x11\0\0"), "its bytes are not valid UTF-32");
        assert_eq!(read(b""), "Expecting value: line 1 column 1 (char 0)");
    }
}
