//! kombu's typed values: objects of exactly `__type__` and `__value__` (`kombu/utils/json.py: object_hook`).

use uuid::Uuid;

use super::error::JsonError;
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

/// `uuid.UUID(**value)`.
fn uuid(value: &Value) -> Result<Uuid, JsonError> {
    let Value::Dict(fields) = value else {
        let kind = value.type_name();
        return Err(JsonError::typed(
            "TypeError",
            &format!("uuid.UUID() argument after ** must be a mapping, not {kind}"),
        ));
    };
    let mut given = fields.iter().filter(|(_, value)| !value.is_none());
    let (Some((name, field)), None) = (given.next(), given.next()) else {
        return Err(JsonError::typed(
            "TypeError",
            "one of the hex, bytes, bytes_le, fields, or int arguments must be given",
        ));
    };
    let malformed = || JsonError::typed("ValueError", "badly formed hexadecimal UUID string");
    match (name.as_str(), field) {
        (Some("hex"), Value::Text(text)) => {
            let hex = text
                .as_str()
                .ok_or_else(malformed)?
                .replace("urn:", "")
                .replace("uuid:", "");
            let hex = hex.trim_matches(['{', '}']).replace('-', "");
            if hex.chars().count() == 32 {
                int_16(&hex).map(Uuid::from_u128).ok_or_else(malformed)
            } else {
                Err(malformed())
            }
        }
        (Some("int"), Value::Int(_) | Value::BigInt(_)) => field
            .py_repr()
            .parse::<u128>()
            .map(Uuid::from_u128)
            .map_err(|_| JsonError::typed("ValueError", "int is out of range (need a 128-bit value)")),
        (Some("bytes"), Value::Bytes(bytes)) => Uuid::from_slice(bytes)
            .map_err(|_| JsonError::typed("ValueError", "bytes is not a 16-char string")),
        (Some("bytes_le"), Value::Bytes(bytes)) => Uuid::from_slice_le(bytes)
            .map_err(|_| JsonError::typed("ValueError", "bytes_le is not a 16-char string")),
        (Some("hex"), other) => {
            let kind = other.type_name();
            Err(JsonError::typed(
                "AttributeError",
                &format!("'{kind}' object has no attribute 'replace'"),
            ))
        }
        (Some(name @ ("bytes" | "bytes_le")), Value::Text(_) | Value::List(_) | Value::Dict(_)) => Err(
            JsonError::typed("ValueError", &format!("{name} is not a 16-char string")),
        ),
        _ => {
            let name = name.to_string_lossy();
            Err(JsonError::typed(
                "TypeError",
                &format!("UUID.__init__() got an unexpected keyword argument '{name}'"),
            ))
        }
    }
}

/// Python's `int(text, 16)` of at most 32 digits: blanks around it, a sign, `0x` and single underscores are fine.
fn int_16(text: &str) -> Option<u128> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let text = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .map_or(text, |rest| rest.trim_start_matches('_'));
    let well_formed = text
        .split('_')
        .all(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    if well_formed {
        u128::from_str_radix(&text.replace('_', ""), 16).ok()
    } else {
        None
    }
}

/// `Decimal(value)`.
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

/// `base64.b64decode()`, which skips what is no base64 letter (`Modules/binascii.c`).
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
