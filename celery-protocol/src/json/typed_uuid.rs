//! `uuid.UUID(**value)` of CPython 3.11, in its order of checks (`Lib/uuid.py: UUID.__init__`).

use uuid::Uuid;

use super::error::JsonError;
use crate::dict::Dict;
use crate::value::Value;

/// The keyword arguments that tell the number; exactly one of them is given.
const SOURCES: [&str; 5] = ["hex", "bytes", "bytes_le", "fields", "int"];

/// How many bits each of the six fields has, and the article that goes with the number.
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

/// Python's `int(text, 16)` of at most 32 digits: blanks around it, a sign, `0x` and single underscores are fine.
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

/// An integer from 0 that has at most so many bits.
fn in_range(value: &Value, bits: u32, message: &str) -> Result<u128, JsonError> {
    let number = match value {
        Value::Bool(truth) => Some(u128::from(*truth)),
        Value::Int(number) => u128::try_from(*number).ok(),
        Value::BigInt(number) => number.as_str().parse().ok(),
        // Python fails over it, too: here, or as soon as the UUID is shown.
        Value::Float(_) => return Err(type_error("%x format: an integer is required, not float")),
        other => return Err(not_comparable(other.type_name())),
    };
    number
        .filter(|number| bits == 128 || number >> bits == 0)
        .ok_or_else(|| value_error(message))
}

/// The number with the bits of the version that `version` asks for, and of RFC 4122's variant.
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
mod tests {
    use crate::json::parse;

    /// What `uuid.UUID(**value)` of CPython 3.11.7 is, or raises.
    fn check(value: &str, expected: &str) {
        let typed = format!(r#"{{"__type__": "uuid", "__value__": {value}}}"#);
        let seen = match parse(typed.as_bytes()) {
            Ok(uuid) => uuid.py_str(),
            Err(error) => error.py_repr(),
        };
        assert_eq!(seen, expected, "{value}");
    }

    const HEX: &str = r#""hex": "5e3a0000000040008000000000000084""#;

    #[test]
    fn a_version_beside_the_number_is_set() {
        let check = |rest: &str, expected: &str| check(&format!("{{{HEX}, {rest}}}"), expected);
        check(r#""version": 1"#, "5e3a0000-0000-1000-8000-000000000084");
        check(r#""version": 5"#, "5e3a0000-0000-5000-8000-000000000084");
        check(r#""version": true"#, "5e3a0000-0000-1000-8000-000000000084");
        check(r#""version": null"#, "5e3a0000-0000-4000-8000-000000000084");
        for illegal in ["0", "6", "-1"] {
            let illegal = format!(r#""version": {illegal}"#);
            check(&illegal, "ValueError('illegal version number')");
        }
        check(
            r#""version": "4""#,
            r#"TypeError("'<=' not supported between instances of 'int' and 'str'")"#,
        );
        check(r#""is_safe": 5"#, "5e3a0000-0000-4000-8000-000000000084");
    }

    #[test]
    fn exactly_one_number_is_given() {
        let one = "TypeError('one of the hex, bytes, bytes_le, fields, or int arguments must be given')";
        check("{}", one);
        check(r#"{"version": 4}"#, one);
        check(&format!(r#"{{{HEX}, "int": 5}}"#), one);
        check(
            &format!(r#"{{{HEX}, "int": null}}"#),
            "5e3a0000-0000-4000-8000-000000000084",
        );
        check(
            &format!(r#"{{{HEX}, "no": 5}}"#),
            r#"TypeError("UUID.__init__() got an unexpected keyword argument '...'")"#,
        );
        check(
            "[]",
            "TypeError('uuid.UUID() argument after ** must be a mapping, not list')",
        );
    }

    #[test]
    fn hex() {
        let check = |hex: &str, expected: &str| check(&format!(r#"{{"hex": "{hex}"}}"#), expected);
        let ones = "1".repeat(32);
        let uuid = "11111111-1111-1111-1111-111111111111";
        check(&format!("{{{{urn:uuid:{ones}}}"), uuid);
        check(&format!("----{ones}"), uuid);
        check(
            &format!("0x{}", &ones[2..]),
            "00111111-1111-1111-1111-111111111111",
        );
        check(
            &format!("{}11", "1_".repeat(15)),
            "00000000-0000-0001-1111-111111111111",
        );
        check(
            &format!("{}1", " ".repeat(31)),
            "00000000-0000-0000-0000-000000000001",
        );
        check(
            &format!("{ones}1"),
            "ValueError('badly formed hexadecimal UUID string')",
        );
        check(
            &"g".repeat(32),
            r#"ValueError("invalid literal for int() with base 16: '...'")"#,
        );
    }

    #[test]
    fn bytes() {
        let typed = r#"{"__type__": "base64", "__value__": "AAECAwQFBgcICQoLDA0ODw=="}"#;
        check(
            &format!(r#"{{"bytes": {typed}}}"#),
            "00010203-0405-0607-0809-0a0b0c0d0e0f",
        );
        check(
            &format!(r#"{{"bytes_le": {typed}, "version": 4}}"#),
            "03020100-0504-4706-8809-0a0b0c0d0e0f",
        );
        check(r#"{"bytes": "0123456789abcdef"}"#, "AssertionError('...')");
        check(
            r#"{"bytes_le": "a"}"#,
            "ValueError('bytes_le is not a 16-char string')",
        );
        check(
            r#"{"bytes": 5}"#,
            r#"TypeError("object of type 'int' has no len()")"#,
        );
    }

    #[test]
    fn fields_and_int() {
        check(
            r#"{"fields": [1, 2, 3, 4, 5, 6], "version": 3}"#,
            "00000001-0002-3003-8405-000000000006",
        );
        check(
            r#"{"fields": [1, 2, 3, 256, 5, 6]}"#,
            "ValueError('field 4 out of range (need an 8-bit value)')",
        );
        check(
            r#"{"fields": [-1, 2, 3, 4, 5, 6]}"#,
            "ValueError('field 1 out of range (need a 32-bit value)')",
        );
        check(
            r#"{"fields": [1, 2, 3, 4, 5]}"#,
            "ValueError('fields is not a 6-tuple')",
        );
        check(
            r#"{"fields": "abcdef"}"#,
            r#"TypeError("'<=' not supported between instances of 'int' and 'str'")"#,
        );
        check(
            r#"{"int": 340282366920938463463374607431768211455}"#,
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        );
        check(
            r#"{"int": true, "version": 4}"#,
            "00000000-0000-4000-8000-000000000001",
        );
        for outside in ["-1", "340282366920938463463374607431768211456"] {
            check(
                &format!(r#"{{"int": {outside}}}"#),
                "ValueError('int is out of range (need a 128-bit value)')",
            );
        }
    }
}
