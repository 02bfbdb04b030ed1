//! Fields as py-amqp reads them.

use jiff::Timestamp;

use super::FieldValue;
use crate::decimal;
use crate::iso_time::IsoTime;
use crate::text::Text;
use crate::value::Value;

/// Reads a field as py-amqp does: a string that is not valid UTF-8 (lone surrogates are allowed) becomes `bytes`, a
/// timestamp a `datetime` without offset.
impl From<&FieldValue> for Value {
    fn from(field: &FieldValue) -> Value {
        match field {
            FieldValue::Void => Value::None,
            FieldValue::Bool(truth) => Value::Bool(*truth),
            FieldValue::I8(_)
            | FieldValue::U8(_)
            | FieldValue::I16(_)
            | FieldValue::U16(_)
            | FieldValue::I32(_)
            | FieldValue::U32(_)
            | FieldValue::I64(_) => Value::from(field.as_i64()),
            FieldValue::F32(number) => Value::Float((*number).into()),
            FieldValue::F64(number) => Value::Float(*number),
            // py-amqp divides, so there are no trailing zeros.
            FieldValue::Decimal { scale, value } => {
                let (mut value, mut scale) = (value.cast_signed(), *scale);
                while scale > 0 && value % 10 == 0 {
                    (value, scale) = (value / 10, scale - 1);
                }
                Value::Decimal(decimal::canonical(&format!("{value}E-{scale}")).unwrap_or_default())
            }
            FieldValue::LongString(bytes) => match Text::from_wtf8(bytes.clone()) {
                Some(text) => Value::Text(text),
                None => Value::Bytes(bytes.clone()),
            },
            FieldValue::ShortString(text) => Value::from(text.as_str()),
            FieldValue::Bytes(bytes) => Value::Bytes(bytes.clone()),
            FieldValue::Array(items) => Value::List(items.iter().map(Value::from).collect()),
            FieldValue::Table(table) => Value::Dict(
                table
                    .iter()
                    .map(|(key, value)| (key, Value::from(value)))
                    .collect(),
            ),
            FieldValue::Timestamp(seconds) => {
                let at = i64::try_from(*seconds)
                    .ok()
                    .and_then(|seconds| Timestamp::from_second(seconds).ok());
                let naive = IsoTime {
                    offset: None,
                    ..IsoTime::from(at.unwrap_or(Timestamp::MAX))
                };
                Value::DateTime(naive.isoformat())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FieldTable;

    #[test]
    fn fields_are_read_as_by_py_amqp() {
        let shown = |field: FieldValue| Value::from(&field).py_repr();
        assert_eq!(shown(FieldValue::LongString(b"\xFF".to_vec())), r"b'\xff'");
        assert_eq!(
            shown(FieldValue::LongString(b"\xED\xA0\x80".to_vec())),
            r"'\ud800'"
        );
        assert_eq!(
            shown(FieldValue::Timestamp(1_795_345_672)),
            "datetime.datetime(2026, 11, 22, 11, 7, 52)"
        );
        assert_eq!(
            shown(FieldValue::Decimal { scale: 2, value: 110 }),
            "Decimal('1.1')"
        );
        let table = FieldTable::from_iter([("a", FieldValue::Void), ("b", vec![true.into()].into())]);
        assert_eq!(shown(table.into()), "{'a': None, 'b': [True]}");
    }
}
