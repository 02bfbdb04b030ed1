//! Conversion of JSON values in a message to fields of its AMQP headers.

use celery_protocol::{Dict, FieldTable, FieldValue, Value, iso8601};

/// Converts a value as py-amqp does. If AMQP has no type for it, its text is sent; py-amqp would refuse to send it.
pub(super) fn field(value: &Value) -> FieldValue {
    match value {
        Value::None => FieldValue::Void,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => FieldValue::LongString(text.as_wtf8().to_vec()),
        Value::Bytes(bytes) => FieldValue::Bytes(bytes.clone()),
        Value::List(items) | Value::Tuple(items) => items.iter().map(field).collect::<Vec<_>>().into(),
        Value::Dict(dict) => table(dict).into(),
        Value::DateTime(text) => {
            match iso8601::parse(text).map(|time| u64::try_from(time.timestamp().as_second())) {
                Ok(Ok(seconds)) => FieldValue::Timestamp(seconds),
                _ => text.as_str().into(),
            }
        }
        Value::BigInt(_) | Value::Uuid(_) | Value::Date(_) | Value::Time(_) | Value::Decimal(_) => {
            value.py_str().into()
        }
    }
}

/// Converts an object in the same way.
pub(super) fn table(dict: &Dict) -> FieldTable {
    dict.iter()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), field(value)))
        .collect()
}
