//! Text and bytes as Python's `repr()` quotes them.

use std::fmt::Write;

use crate::printable::is_printable;
use crate::text::Text;

/// Returns the `repr()` of a Python `str`: in single quotes, or in double quotes if the text contains a single quote
/// and no double quote.
pub fn str_repr(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_quoted(
        text.chars().map(u32::from),
        text.contains('\''),
        text.contains('"'),
        &mut out,
    );
    out
}

/// Appends the `repr()` of a text that may contain lone surrogates.
pub(crate) fn write_text_repr(text: &Text, out: &mut String) {
    let bytes = text.as_wtf8();
    write_quoted(
        text.code_points(),
        bytes.contains(&b'\''),
        bytes.contains(&b'"'),
        out,
    );
}

fn write_quoted(code_points: impl Iterator<Item = u32>, single: bool, double: bool, out: &mut String) {
    let quote = if single && !double { '"' } else { '\'' };
    out.push(quote);
    for code_point in code_points {
        match char::from_u32(code_point) {
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c) if c == quote || c == '\\' => {
                out.push('\\');
                out.push(c);
            }
            Some(c) if c.is_ascii_graphic() || is_printable(code_point) => out.push(c),
            _ => {
                let _ = match code_point {
                    0..=0xFF => write!(out, "\\x{code_point:02x}"),
                    0x100..=0xFFFF => write!(out, "\\u{code_point:04x}"),
                    _ => write!(out, "\\U{code_point:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

/// Returns the `repr()` of Python `bytes`.
pub(crate) fn bytes_repr(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(bytes.len() + 3);
    out.push('b');
    out.push(quote);
    for &byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ if byte == b'\\' || char::from(byte) == quote => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(quote);
    out
}
