//! Builds a received message from any bytes. `fuzz/seed` writes this form.
//!
//! The form is a byte of flags, the properties whose flags are set as short strings (a byte of length, then text), the
//! headers as an AMQP 0.9.1 table with two bytes of length, and the body. A length beyond the end means all remaining
//! bytes, so that no input is refused.

use celery_protocol::{FieldTable, FieldValue, Message, Properties};

/// Returns the message that these bytes represent.
pub fn message(bytes: &[u8]) -> Message {
    let mut reader = Reader(bytes);
    let flags = reader.byte();
    let mut property = |bit: u8| (flags & (1 << bit) != 0).then(|| reader.short_string());
    let mut properties = Properties {
        content_type: property(0),
        content_encoding: property(1),
        correlation_id: property(2),
        reply_to: property(3),
        expiration: property(4),
        message_id: property(5),
        priority: (flags & 0x40 != 0).then_some(flags >> 4),
        ..Properties::default()
    };
    let length = u16::from_be_bytes(reader.array());
    properties.headers = reader.table_of(length.into());
    Message {
        properties,
        body: reader.0.to_vec(),
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> &'b [u8] {
        let (taken, left) = self.0.split_at(length.min(self.0.len()));
        self.0 = left;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[N - taken.len()..].copy_from_slice(taken);
        array
    }

    fn byte(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    fn length(&mut self) -> usize {
        u32::from_be_bytes(self.array()) as usize
    }

    fn long_bytes(&mut self) -> Vec<u8> {
        let length = self.length();
        self.take(length).to_vec()
    }

    fn short_string(&mut self) -> String {
        let length = self.byte().into();
        String::from_utf8_lossy(self.take(length)).into_owned()
    }

    fn table_of(&mut self, length: usize) -> FieldTable {
        let mut inside = Reader(self.take(length));
        let mut table = FieldTable::new();
        while !inside.0.is_empty() {
            let key = inside.short_string();
            table.insert(key, inside.value());
        }
        table
    }

    fn array_of(&mut self, length: usize) -> Vec<FieldValue> {
        let mut inside = Reader(self.take(length));
        let mut items = Vec::new();
        while !inside.0.is_empty() {
            items.push(inside.value());
        }
        items
    }

    /// Reads a value by the letters of py-amqp and RabbitMQ; any other letter gives null.
    fn value(&mut self) -> FieldValue {
        match self.byte() {
            b't' => FieldValue::Bool(self.byte() != 0),
            b'b' => FieldValue::I8(i8::from_be_bytes(self.array())),
            b'B' => FieldValue::U8(self.byte()),
            b's' => FieldValue::I16(i16::from_be_bytes(self.array())),
            b'u' => FieldValue::U16(u16::from_be_bytes(self.array())),
            b'I' => FieldValue::I32(i32::from_be_bytes(self.array())),
            b'i' => FieldValue::U32(u32::from_be_bytes(self.array())),
            b'L' | b'l' => FieldValue::I64(i64::from_be_bytes(self.array())),
            b'f' => FieldValue::F32(f32::from_be_bytes(self.array())),
            b'd' => FieldValue::F64(f64::from_be_bytes(self.array())),
            b'D' => FieldValue::Decimal {
                scale: self.byte(),
                value: u32::from_be_bytes(self.array()),
            },
            b'S' => FieldValue::LongString(self.long_bytes()),
            b'x' => FieldValue::Bytes(self.long_bytes()),
            b'A' => {
                let length = self.length();
                FieldValue::Array(self.array_of(length))
            }
            b'F' => {
                let length = self.length();
                FieldValue::Table(self.table_of(length))
            }
            b'T' => FieldValue::Timestamp(u64::from_be_bytes(self.array())),
            _ => FieldValue::Void,
        }
    }
}
