//! What Python's `str()` and `repr()` say of a value.

use std::fmt::Write;

use jiff::civil;

use crate::dict::Dict;
use crate::float;
use crate::iso_time::IsoTime;
use crate::printable::is_printable;
use crate::python_datetime;
use crate::text::Text;
use crate::value::Value;

impl Value {
    /// Python's `str(value)`; a lone surrogate becomes U+FFFD.
    pub fn py_str(&self) -> String {
        match self {
            Value::Text(text) => text.to_string_lossy().into_owned(),
            Value::Uuid(uuid) => uuid.to_string(),
            Value::DateTime(text) => match python_datetime::datetime(text) {
                Ok(time) => time.format(' '),
                Err(_) => text.clone(),
            },
            Value::Date(text) | Value::Time(text) | Value::Decimal(text) => text.clone(),
            _ => self.py_repr(),
        }
    }

    /// Python's `repr(value)`.
    pub fn py_repr(&self) -> String {
        let mut out = String::new();
        write_repr(self, &mut out);
        out
    }
}

fn write_repr(value: &Value, out: &mut String) {
    match value {
        Value::List(items) => {
            out.push('[');
            write_items(items, out);
            out.push(']');
        }
        Value::Tuple(items) => {
            out.push('(');
            write_items(items, out);
            out.push_str(if items.len() == 1 { ",)" } else { ")" });
        }
        Value::Dict(dict) => write_dict(dict, out),
        scalar => write_scalar(scalar, out),
    }
}

/// Apart from [`write_repr`], whose frames nest.
fn write_scalar(value: &Value, out: &mut String) {
    match value {
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => write_display(out, number),
        Value::BigInt(number) => out.push_str(number.as_str()),
        Value::Float(number) => out.push_str(&float::repr(*number)),
        Value::Text(text) => write_text_repr(text, out),
        Value::Bytes(bytes) => out.push_str(&bytes_repr(bytes)),
        Value::Uuid(uuid) => write_display(out, &format_args!("UUID('{uuid}')")),
        Value::DateTime(text) => match python_datetime::datetime(text) {
            Ok(time) => out.push_str(&datetime_repr(&time)),
            Err(_) => write_call("datetime.datetime", text, out),
        },
        Value::Date(text) => match python_datetime::date(text) {
            Ok(date) => {
                let (year, month, day) = (date.year(), date.month(), date.day());
                write_display(out, &format_args!("datetime.date({year}, {month}, {day})"));
            }
            Err(_) => write_call("datetime.date", text, out),
        },
        Value::Time(text) => match python_datetime::time(text) {
            Ok((time, offset)) => {
                write_display(
                    out,
                    &format_args!("datetime.time({}{})", time_arguments(time), zone_argument(offset)),
                );
            }
            Err(_) => write_call("datetime.time", text, out),
        },
        Value::Decimal(text) => write_call("Decimal", text, out),
        Value::None | Value::List(_) | Value::Tuple(_) | Value::Dict(_) => out.push_str("None"),
    }
}

fn write_display(out: &mut String, value: &dyn std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

fn write_call(class: &str, argument: &str, out: &mut String) {
    out.push_str(class);
    out.push('(');
    out.push_str(&str_repr(argument));
    out.push(')');
}

fn write_items(items: &[Value], out: &mut String) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write_repr(item, out);
    }
}

fn write_dict(dict: &Dict, out: &mut String) {
    out.push('{');
    for (i, (key, value)) in dict.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write_text_repr(key, out);
        out.push_str(": ");
        write_repr(value, out);
    }
    out.push('}');
}

/// `repr()` of a Python `str`: single quotes, or double ones if the text holds a single and no double quote.
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

fn write_text_repr(text: &Text, out: &mut String) {
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

/// `repr()` of Python `bytes`.
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

fn datetime_repr(time: &IsoTime) -> String {
    let date = time.civil.date();
    let (year, month, day) = (date.year(), date.month(), date.day());
    format!(
        "datetime.datetime({year}, {month}, {day}, {}{})",
        time_arguments(time.civil.time()),
        zone_argument(time.offset)
    )
}

fn time_arguments(time: civil::Time) -> String {
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    match (second, time.subsec_nanosecond() / 1000) {
        (0, 0) => format!("{hour}, {minute}"),
        (_, 0) => format!("{hour}, {minute}, {second}"),
        (_, microsecond) => format!("{hour}, {minute}, {second}, {microsecond}"),
    }
}

fn zone_argument(offset: Option<i64>) -> String {
    let Some(offset) = offset else {
        return String::new();
    };
    if offset == 0 {
        return ", tzinfo=datetime.timezone.utc".to_owned();
    }
    let day = 86_400_000_000;
    let (days, rest) = (offset.div_euclid(day), offset.rem_euclid(day));
    let parts = [
        ("days", days),
        ("seconds", rest / 1_000_000),
        ("microseconds", rest % 1_000_000),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, number)| *number != 0)
        .map(|(name, number)| format!("{name}={number}"))
        .collect();
    format!(
        ", tzinfo=datetime.timezone(datetime.timedelta({}))",
        parts.join(", ")
    )
}
