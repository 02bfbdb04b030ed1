//! Any bytes are read as JSON, or refused, without a panic; the value can be shown, and writing it and reading it again
//! gives the same value. Text that a strict parser accepts gives the same value there.

#![no_main]

use celery_protocol::{Value, json, saferepr};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match json::parse(bytes) {
        Ok(value) => {
            comes_back(&value);
            show(&value);
        }
        Err(error) => drop((error.py_repr(), error.to_string())),
    }
    let untyped = json::parse_untyped(bytes);
    if let Ok(strict) = serde_json::from_slice(bytes) {
        match untyped {
            Ok(value) => assert!(is_same(&value, &strict), "{value:?}"),
            Err(error) => assert!(has_long_integer(bytes), "{}", error.py_repr()),
        }
    }
});

fn comes_back(value: &Value) {
    let text = json::to_json(value);
    assert!(text.is_ascii());
    let again = json::parse(text.as_bytes()).expect("own text");
    // Compared as text, in which NaN equals NaN.
    assert_eq!(format!("{again:?}"), format!("{value:?}"), "{text}");
}

fn show(value: &Value) {
    let _ = (
        value.py_str(),
        value.py_repr(),
        value.is_truthy(),
        value.type_name(),
    );
    for max_len in [None, Some(0), Some(20), Some(1024)] {
        for max_levels in [0, 1, 3] {
            let _ = saferepr::saferepr(value, max_len, max_levels).to_string();
        }
    }
}

/// Returns whether both parsers read the same value. Floats are compared with a tolerance, because the other parser
/// rounds differently.
fn is_same(value: &Value, strict: &serde_json::Value) -> bool {
    match (value, strict) {
        (Value::None, serde_json::Value::Null) => true,
        (Value::Bool(own), serde_json::Value::Bool(other)) => own == other,
        (Value::Int(own), serde_json::Value::Number(other)) => {
            other.as_i64().is_none_or(|other| other == *own)
        }
        (Value::BigInt(_), serde_json::Value::Number(other)) => other.as_i64().is_none(),
        (Value::Float(own), serde_json::Value::Number(other)) => other.as_f64().is_some_and(|other| {
            let difference = (own - other).abs();
            difference <= own.abs() * 1e-15 || difference < f64::MIN_POSITIVE
        }),
        (Value::Text(own), serde_json::Value::String(other)) => own.as_str() == Some(other),
        (Value::List(own), serde_json::Value::Array(other)) => {
            own.len() == other.len() && own.iter().zip(other).all(|(own, other)| is_same(own, other))
        }
        (Value::Dict(own), serde_json::Value::Object(other)) => {
            own.len() == other.len()
                && other
                    .iter()
                    .all(|(key, other)| own.get(key).is_some_and(|own| is_same(own, other)))
        }
        _ => false,
    }
}

fn has_long_integer(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| !byte.is_ascii_digit())
        .any(|digits| digits.len() > json::MAX_INT_DIGITS)
}
