//! Conversion between Celery's message types and lapin's, which meet only here.

use celery_protocol::{FieldTable, FieldValue, Message, Properties};
use lapin::BasicProperties;
use lapin::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, LongString, ShortString, ShortStringError,
};

/// Builds a message from the properties and the body received.
pub(crate) fn message_from(properties: &BasicProperties, body: Vec<u8>) -> Message {
    let text = |value: &Option<ShortString>| value.as_ref().map(|text| text.as_str().to_owned());
    Message {
        properties: Properties {
            content_type: text(properties.content_type()),
            content_encoding: text(properties.content_encoding()),
            headers: properties.headers().as_ref().map(table_from).unwrap_or_default(),
            delivery_mode: *properties.delivery_mode(),
            priority: *properties.priority(),
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            expiration: text(properties.expiration()),
            message_id: text(properties.message_id()),
            timestamp: *properties.timestamp(),
            kind: text(properties.kind()),
            user_id: text(properties.user_id()),
            app_id: text(properties.app_id()),
        },
        body,
    }
}

/// Converts properties for publishing.
///
/// # Errors
/// If a property is longer than the 255 bytes that AMQP allows.
pub(crate) fn properties_of(properties: &Properties) -> Result<BasicProperties, ShortStringError> {
    let short = |value: &Option<String>| value.as_deref().map(ShortString::try_new).transpose();
    let mut out = BasicProperties::default().with_headers(table_of(&properties.headers)?);
    macro_rules! set {
        ($with:ident, $value:expr) => {
            if let Some(value) = $value {
                out = out.$with(value);
            }
        };
    }
    set!(with_content_type, short(&properties.content_type)?);
    set!(with_content_encoding, short(&properties.content_encoding)?);
    set!(with_delivery_mode, properties.delivery_mode);
    set!(with_priority, properties.priority);
    set!(with_correlation_id, short(&properties.correlation_id)?);
    set!(with_reply_to, short(&properties.reply_to)?);
    set!(with_expiration, short(&properties.expiration)?);
    set!(with_message_id, short(&properties.message_id)?);
    set!(with_timestamp, properties.timestamp);
    set!(with_type, short(&properties.kind)?);
    set!(with_user_id, short(&properties.user_id)?);
    set!(with_app_id, short(&properties.app_id)?);
    Ok(out)
}

fn table_from(table: &lapin::types::FieldTable) -> FieldTable {
    table
        .inner()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value_from(value)))
        .collect()
}

/// Returns an empty table.
pub(crate) fn no_arguments() -> lapin::types::FieldTable {
    lapin::types::FieldTable::default()
}

/// Converts a table to lapin's type.
///
/// # Errors
/// If a name is longer than the 255 bytes that AMQP allows.
pub(crate) fn table_of(table: &FieldTable) -> Result<lapin::types::FieldTable, ShortStringError> {
    let mut out = lapin::types::FieldTable::default();
    for (name, value) in table.iter() {
        out.insert(ShortString::try_new(name)?, value_of(value)?);
    }
    Ok(out)
}

fn value_from(value: &AMQPValue) -> FieldValue {
    match value {
        AMQPValue::Void => FieldValue::Void,
        AMQPValue::Boolean(value) => FieldValue::Bool(*value),
        AMQPValue::ShortShortInt(value) => FieldValue::I8(*value),
        AMQPValue::ShortShortUInt(value) => FieldValue::U8(*value),
        AMQPValue::ShortInt(value) => FieldValue::I16(*value),
        AMQPValue::ShortUInt(value) => FieldValue::U16(*value),
        AMQPValue::LongInt(value) => FieldValue::I32(*value),
        AMQPValue::LongUInt(value) => FieldValue::U32(*value),
        AMQPValue::LongLongInt(value) => FieldValue::I64(*value),
        AMQPValue::Float(value) => FieldValue::F32(*value),
        AMQPValue::Double(value) => FieldValue::F64(*value),
        AMQPValue::DecimalValue(value) => FieldValue::Decimal {
            scale: value.scale,
            value: value.value,
        },
        AMQPValue::ShortString(value) => FieldValue::ShortString(value.as_str().to_owned()),
        AMQPValue::LongString(value) => FieldValue::LongString(value.as_bytes().to_vec()),
        AMQPValue::ByteArray(value) => FieldValue::Bytes(value.as_slice().to_vec()),
        AMQPValue::FieldArray(values) => {
            FieldValue::Array(values.as_slice().iter().map(value_from).collect())
        }
        AMQPValue::FieldTable(table) => FieldValue::Table(table_from(table)),
        AMQPValue::Timestamp(value) => FieldValue::Timestamp(*value),
    }
}

fn value_of(value: &FieldValue) -> Result<AMQPValue, ShortStringError> {
    Ok(match value {
        FieldValue::Void => AMQPValue::Void,
        FieldValue::Bool(value) => AMQPValue::Boolean(*value),
        FieldValue::I8(value) => AMQPValue::ShortShortInt(*value),
        FieldValue::U8(value) => AMQPValue::ShortShortUInt(*value),
        FieldValue::I16(value) => AMQPValue::ShortInt(*value),
        FieldValue::U16(value) => AMQPValue::ShortUInt(*value),
        FieldValue::I32(value) => AMQPValue::LongInt(*value),
        FieldValue::U32(value) => AMQPValue::LongUInt(*value),
        FieldValue::I64(value) => AMQPValue::LongLongInt(*value),
        FieldValue::F32(value) => AMQPValue::Float(*value),
        FieldValue::F64(value) => AMQPValue::Double(*value),
        FieldValue::Decimal { scale, value } => AMQPValue::DecimalValue(DecimalValue {
            scale: *scale,
            value: *value,
        }),
        FieldValue::ShortString(value) => AMQPValue::ShortString(ShortString::try_new(value.as_str())?),
        FieldValue::LongString(value) => AMQPValue::LongString(LongString::from(value.as_slice())),
        FieldValue::Bytes(value) => AMQPValue::ByteArray(ByteArray::from(value.as_slice())),
        FieldValue::Array(values) => AMQPValue::FieldArray(FieldArray::from(
            values.iter().map(value_of).collect::<Result<Vec<_>, _>>()?,
        )),
        FieldValue::Table(table) => AMQPValue::FieldTable(table_of(table)?),
        FieldValue::Timestamp(value) => AMQPValue::Timestamp(*value),
    })
}
