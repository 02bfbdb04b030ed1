//! `uuid.UUID(**value)` of CPython 3.11, with its order of checks (`Lib/uuid.py: UUID.__init__`).

use uuid::Uuid;

use super::error::JsonError;
use crate::dict::Dict;
use crate::value::Value;

/// The keyword arguments that give the number; exactly one of them is needed.
const SOURCES: [&str; 5] = ["hex", "bytes", "bytes_le", "fields", "int"];

/// The number of bits of each of the six fields, and the article for that number in the error text.
const FIELDS: [(u32, &str); 6] = [(32, "a"), (16, "a"), (16, "a"), (8, "an"), (8, "an"), (48, "a")];

pub(super) fn uuid(value: &Value) -> Result<Uuid, JsonError> {
    let Value::Dict(arguments) = value else {
        let kind = value.type_name();
        return Err(type_error(&format!(
            "uuid.UUID() argument after ** must be a mapping, not {kind}"
        )));
    };
    let is_known = |name: &str| SOURCES.contains(&name) || matches!(name, "version" | "is_safe");
    if !arguments
        .iter()
        .all(|(name, _)| name.as_str().is_some_and(is_known))
    {
        return Err(type_error(
            "UUID.__init__() got an unexpected keyword argument '...'",
        ));
    }
    let given = |name: &str| arguments.get(name).filter(|value| !value.is_none());
    let mut sources = SOURCES
        .iter()
        .filter_map(|name| given(name).map(|value| (*name, value)));
    let (Some((name, source)), None) = (sources.next(), sources.next()) else {
        return Err(type_error(
            "one of the hex, bytes, bytes_le, fields, or int arguments must be given",
        ));
    };
    let number = match name {
        "hex" => of_hex(source),
        "bytes" => of_bytes(name, source).map(u128::from_be_bytes),
        "bytes_le" => of_bytes(name, source).map(|bytes| Uuid::from_bytes_le(bytes).as_u128()),
        "fields" => of_fields(source),
        _ => in_range(source, 128, "int is out of range (need a 128-bit value)"),
    }?;
    versioned(number, arguments).map(Uuid::from_u128)
}

fn of_hex(value: &Value) -> Result<u128, JsonError> {
    let Value::Text(text) = value else {
        let kind = value.type_name();
        return Err(JsonError::typed(
            "AttributeError",
            &format!("'{kind}' object has no attribute 'replace'"),
        ));
    };
    let malformed = || value_error("badly formed hexadecimal UUID string");
    let hex = text.as_str().ok_or_else(malformed)?;
    let hex = hex.replace("urn:", "").replace("uuid:", "");
    let hex = hex.trim_matches(['{', '}']).replace('-', "");
    if hex.chars().count() != 32 {
        return Err(malformed());
    }
    int_16(&hex).ok_or_else(|| value_error("invalid literal for int() with base 16: '...'"))
}

/// Python's `int(text, 16)` for at most 32 digits: blanks around it, a sign, `0x` and single underscores are allowed.
fn int_16(text: &str) -> Option<u128> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let text = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => digits.strip_prefix('_').unwrap_or(digits),
        None => text,
    };
    let well_formed = text
        .split('_')
        .all(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    if well_formed {
        u128::from_str_radix(&text.replace('_', ""), 16).ok()
    } else {
        None
    }
}

fn of_bytes(name: &str, value: &Value) -> Result<[u8; 16], JsonError> {
    if length(value)? != 16 {
        return Err(value_error(&format!("{name} is not a 16-char string")));
    }
    let bytes = match value {
        Value::Bytes(bytes) => <[u8; 16]>::try_from(bytes.as_slice()).ok(),
        _ => None,
    };
    bytes.ok_or_else(|| JsonError::typed("AssertionError", "..."))
}

fn of_fields(value: &Value) -> Result<u128, JsonError> {
    if length(value)? != 6 {
        return Err(value_error("fields is not a 6-tuple"));
    }
    let fields: Vec<Value> = match value {
        Value::List(items) | Value::Tuple(items) => items.clone(),
        Value::Bytes(bytes) => bytes.iter().map(|byte| i64::from(*byte).into()).collect(),
        _ => return Err(not_comparable("str")),
    };
    let mut number = 0;
    for (at, (field, (bits, article))) in fields.iter().zip(FIELDS).enumerate() {
        let range = format!("field {} out of range (need {article} {bits}-bit value)", at + 1);
        number = number << bits | in_range(field, bits, &range)?;
    }
    Ok(number)
}

/// Returns a nonnegative integer with at most `bits` bits.
fn in_range(value: &Value, bits: u32, message: &str) -> Result<u128, JsonError> {
    let number = match value {
        Value::Bool(truth) => Some(u128::from(*truth)),
        Value::Int(number) => u128::try_from(*number).ok(),
        Value::BigInt(number) => number.as_str().parse().ok(),
        // Python fails, too: here, or as soon as the UUID is shown.
        Value::Float(_) => return Err(type_error("%x format: an integer is required, not float")),
        other => return Err(not_comparable(other.type_name())),
    };
    number
        .filter(|number| bits == 128 || number >> bits == 0)
        .ok_or_else(|| value_error(message))
}

/// Sets the bits of the version in `version`, and those of RFC 4122's variant.
fn versioned(number: u128, arguments: &Dict) -> Result<u128, JsonError> {
    let Some(version) = arguments.get("version").filter(|version| !version.is_none()) else {
        return Ok(number);
    };
    let version = in_range(version, 128, "illegal version number")?;
    if !(1..=5).contains(&version) {
        return Err(value_error("illegal version number"));
    }
    let number = number & !(0xc000 << 48) | 0x8000 << 48;
    Ok(number & !(0xf000 << 64) | version << 76)
}

/// Python's `len()`.
fn length(value: &Value) -> Result<usize, JsonError> {
    match value {
        Value::Text(text) => Ok(text.char_count()),
        Value::Bytes(bytes) => Ok(bytes.len()),
        Value::List(items) | Value::Tuple(items) => Ok(items.len()),
        Value::Dict(dict) => Ok(dict.len()),
        other => {
            let kind = other.type_name();
            Err(type_error(&format!("object of type '{kind}' has no len()")))
        }
    }
}

fn not_comparable(kind: &str) -> JsonError {
    type_error(&format!(
        "'<=' not supported between instances of 'int' and '{kind}'"
    ))
}

fn type_error(message: &str) -> JsonError {
    JsonError::typed("TypeError", message)
}

fn value_error(message: &str) -> JsonError {
    JsonError::typed("ValueError", message)
}

#[cfg(test)]
mod tests;
