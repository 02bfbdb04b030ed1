//! Python's `str()` and `repr()` of a value.

use std::fmt::Write;

use jiff::civil;

use crate::dict::Dict;
use crate::float;
use crate::iso_time::IsoTime;
use crate::literal::{bytes_repr, str_repr, write_text_repr};
use crate::python_datetime;
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

/// Writes a scalar. Separate from [`write_repr`] to keep its frames small, because they nest.
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
