//! The writer: `json.dumps` with kombu's encoder.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::dict::Dict;
use crate::float;
use crate::value::Value;

pub(super) fn value(value: &Value, out: &mut String) {
    match value {
        Value::List(items) | Value::Tuple(items) => list(items, out),
        Value::Dict(pairs) => dict(pairs, out),
        value => scalar(value, out),
    }
}

/// Writes a scalar. Separate from [`value`] to keep its frames small, because they nest.
fn scalar(value: &Value, out: &mut String) {
    match value {
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(number) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{number}");
        }
        Value::BigInt(number) => out.push_str(number.as_str()),
        Value::Float(number) => out.push_str(&float::json(*number)),
        Value::Text(text) => string(text.code_points_or_str(), out),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => typed("bytes", text, out),
            Err(_) => typed("base64", &STANDARD.encode(bytes), out),
        },
        Value::Uuid(uuid) => {
            let hex = uuid.as_simple();
            let _ = write!(out, r#"{{"__type__": "uuid", "__value__": {{"hex": "{hex}"}}}}"#);
        }
        Value::DateTime(text) => typed("datetime", text, out),
        Value::Date(text) => typed("date", text, out),
        Value::Time(text) => typed("time", text, out),
        Value::Decimal(text) => typed("decimal", text, out),
        Value::None | Value::List(_) | Value::Tuple(_) | Value::Dict(_) => out.push_str("null"),
    }
}

pub(super) fn list(items: &[Value], out: &mut String) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        value(item, out);
    }
    out.push(']');
}

pub(super) fn dict(pairs: &Dict, out: &mut String) {
    out.push('{');
    for (i, (key, item)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        string(key.code_points_or_str(), out);
        out.push_str(": ");
        value(item, out);
    }
    out.push('}');
}

fn typed(name: &str, text: &str, out: &mut String) {
    let _ = write!(out, r#"{{"__type__": "{name}", "__value__": "#);
    string(Ok::<_, std::iter::Empty<u32>>(text), out);
    out.push('}');
}

fn string(text: Result<&str, impl Iterator<Item = u32>>, out: &mut String) {
    out.push('"');
    match text {
        Ok(text) => {
            let mut plain = 0;
            for (at, c) in text.char_indices() {
                if !matches!(c, ' '..='~') || matches!(c, '"' | '\\') {
                    out.push_str(text.get(plain..at).unwrap_or_default());
                    escape(c.into(), out);
                    plain = at + c.len_utf8();
                }
            }
            out.push_str(text.get(plain..).unwrap_or_default());
        }
        Err(code_points) => {
            for code_point in code_points {
                escape(code_point, out);
            }
        }
    }
    out.push('"');
}

fn escape(code_point: u32, out: &mut String) {
    match code_point {
        0x22 => out.push_str("\\\""),
        0x5C => out.push_str("\\\\"),
        0x08 => out.push_str("\\b"),
        0x09 => out.push_str("\\t"),
        0x0A => out.push_str("\\n"),
        0x0C => out.push_str("\\f"),
        0x0D => out.push_str("\\r"),
        0x20..=0x7E => out.extend(char::from_u32(code_point)),
        0x1_0000.. => {
            let above = code_point - 0x1_0000;
            let _ = write!(
                out,
                "\\u{:04x}\\u{:04x}",
                0xD800 + (above >> 10),
                0xDC00 + (above & 0x3FF)
            );
        }
        _ => {
            let _ = write!(out, "\\u{code_point:04x}");
        }
    }
}
