//! kombu's typed values: objects with exactly `__type__` and `__value__` (`kombu/utils/json.py: object_hook`).

use super::error::JsonError;
use super::typed_uuid::uuid;
use crate::decimal;
use crate::dict::Dict;
use crate::python_datetime;
use crate::value::Value;

pub(super) fn from_dict(dict: Dict) -> Result<Value, JsonError> {
    if dict.len() != 2 {
        return Ok(Value::Dict(dict));
    }
    let (Some(name), Some(value)) = (dict.get("__type__"), dict.get("__value__")) else {
        return Ok(Value::Dict(dict));
    };
    match name.as_str() {
        Some("uuid") => uuid(value).map(Value::Uuid),
        Some("datetime") => iso(value, |text| {
            python_datetime::datetime(text).map(|time| Value::DateTime(time.isoformat()))
        }),
        Some("date") => iso(value, |text| {
            python_datetime::date(text).map(|date| Value::Date(crate::iso_time::isoformat_date(date)))
        }),
        Some("time") => iso(value, |text| {
            python_datetime::time(text)
                .map(|(time, offset)| Value::Time(crate::iso_time::isoformat_time(time, offset)))
        }),
        Some("decimal") => decimal(value),
        Some("bytes") => bytes(value),
        Some("base64") => base64(value),
        _ => Err(unsupported(name)),
    }
}

fn unsupported(name: &Value) -> JsonError {
    match name {
        Value::List(_) | Value::Dict(_) => {
            JsonError::typed("TypeError", &format!("unhashable type: '{}'", name.type_name()))
        }
        _ => {
            let name = name.py_repr();
            let text =
                format!("'Unsupported type', <class 'type'>, {{'__type__': {name}, '__value__': ...}}");
            JsonError::Typed {
                exception: "ValueError",
                text,
            }
        }
    }
}

fn iso(
    value: &Value,
    read: impl Fn(&str) -> Result<Value, python_datetime::NotIsoFormat>,
) -> Result<Value, JsonError> {
    let Value::Text(text) = value else {
        return Err(JsonError::typed(
            "TypeError",
            "fromisoformat: argument must be str",
        ));
    };
    read(&text.to_string_lossy()).map_err(|_| JsonError::typed("ValueError", "Invalid isoformat string: ..."))
}

/// Python's `Decimal(value)`.
fn decimal(value: &Value) -> Result<Value, JsonError> {
    let text = match value {
        Value::Text(text) => text.as_str().and_then(decimal::canonical),
        Value::Int(number) => Some(number.to_string()),
        Value::BigInt(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(i64::from(*truth).to_string()),
        Value::Float(number) => Some(decimal::of_float(*number)),
        Value::Decimal(text) => Some(text.clone()),
        Value::List(_) => {
            return Err(JsonError::typed(
                "ValueError",
                "argument must be a sequence of length 3",
            ));
        }
        _ => {
            let kind = value.type_name();
            let message = format!("conversion from {kind} to Decimal is not supported");
            return Err(JsonError::typed("TypeError", &message));
        }
    };
    text.map(Value::Decimal).ok_or_else(|| JsonError::Typed {
        exception: "InvalidOperation",
        text: "[<class 'decimal.ConversionSyntax'>]".to_owned(),
    })
}

fn encoded(value: &Value) -> Result<&str, JsonError> {
    let Value::Text(text) = value else {
        let kind = value.type_name();
        return Err(JsonError::typed(
            "AttributeError",
            &format!("'{kind}' object has no attribute 'encode'"),
        ));
    };
    text.as_str().ok_or_else(|| JsonError::Typed {
        exception: "UnicodeEncodeError",
        text: "'utf-8', ..., 'surrogates not allowed'".to_owned(),
    })
}

fn bytes(value: &Value) -> Result<Value, JsonError> {
    encoded(value).map(|text| Value::Bytes(text.as_bytes().to_vec()))
}

/// Python's `base64.b64decode()`, which skips bytes that are not in the base64 alphabet (`Modules/binascii.c`).
fn base64(value: &Value) -> Result<Value, JsonError> {
    let mut bytes = Vec::new();
    let (mut quad, mut left, mut pads) = (0_u8, 0_u8, 0_u8);
    for byte in encoded(value)?.bytes() {
        let six = match byte {
            b'=' => {
                pads += u8::from(quad >= 2);
                if quad >= 2 && quad + pads >= 4 {
                    return Ok(Value::Bytes(bytes));
                }
                continue;
            }
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        pads = 0;
        match quad {
            0 => {}
            1 => bytes.push(left << 2 | six >> 4),
            2 => bytes.push(left << 4 | six >> 2),
            _ => bytes.push(left << 6 | six),
        }
        left = six;
        quad = (quad + 1) % 4;
    }
    match quad {
        0 => Ok(Value::Bytes(bytes)),
        1 => {
            let count = bytes.len() / 3 * 4 + 1;
            Err(JsonError::typed(
                "Error",
                &format!(
                    "Invalid base64-encoded string: number of data characters ({count}) cannot be 1 more than a multiple of 4"
                ),
            ))
        }
        _ => Err(JsonError::typed("Error", "Incorrect padding")),
    }
}
