//! AMQP 0.9.1 tables: the headers of a message.

mod py_amqp;

use serde::{Deserialize, Serialize};

use crate::stored_bytes::{self, Bits};

/// A table that keeps its order. Python sends headers in a fixed order and accepts them in any (contract A.3).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldTable(Vec<(String, FieldValue)>);

/// A value in a table. The letter is its type on the wire, as py-amqp and RabbitMQ write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldValue {
    /// `V`, Python's `None`.
    Void,
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`, or `U` by the letter of the specification.
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`: py-amqp writes this for an int of at most 31 bits.
    I32(i32),
    /// `i`
    U32(u32),
    /// `L` from py-amqp, `l` from RabbitMQ.
    I64(i64),
    /// `f`
    F32(#[serde(with = "Bits")] f32),
    /// `d`
    F64(#[serde(with = "Bits")] f64),
    /// `D`: `value` divided by ten to the power of `scale`.
    Decimal {
        /// The number of decimal digits after the point.
        scale: u8,
        /// The number without its point.
        value: u32,
    },
    /// `S`: text, which need not be UTF-8 (the `argsrepr` of a lone surrogate is not, contract A.8).
    LongString(#[serde(with = "stored_bytes")] Vec<u8>),
    /// `s` of the specification, which RabbitMQ never sends.
    ShortString(String),
    /// `x`
    Bytes(#[serde(with = "stored_bytes")] Vec<u8>),
    /// `A`
    Array(Vec<FieldValue>),
    /// `F`
    Table(FieldTable),
    /// `T`: seconds since 1970.
    Timestamp(u64),
}

impl FieldTable {
    /// Creates an empty table.
    pub const fn new() -> FieldTable {
        FieldTable(Vec::new())
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&FieldValue> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// Sets a key: in place if it exists, else at the end, as a Python dict does.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<FieldValue>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(own, _)| *own == key) {
            Some((_, own)) => *own = value,
            None => self.0.push((key, value)),
        }
    }

    /// Appends a key that is known to be new.
    pub(crate) fn push(&mut self, key: &str, value: impl Into<FieldValue>) {
        self.0.push((key.to_owned(), value.into()));
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<FieldValue> {
        let index = self.0.iter().position(|(own, _)| own == key)?;
        Some(self.0.remove(index).1)
    }

    /// Returns the keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &FieldValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<FieldValue>> FromIterator<(K, V)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> FieldTable {
        let mut table = FieldTable::new();
        for (key, value) in pairs {
            table.insert(key, value);
        }
        table
    }
}

impl IntoIterator for FieldTable {
    type Item = (String, FieldValue);
    type IntoIter = std::vec::IntoIter<(String, FieldValue)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FieldValue {
    /// Returns the text of a string field if it is valid UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            FieldValue::LongString(bytes) => std::str::from_utf8(bytes).ok(),
            FieldValue::ShortString(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number of an integer field of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            FieldValue::I8(n) => Some(n.into()),
            FieldValue::U8(n) => Some(n.into()),
            FieldValue::I16(n) => Some(n.into()),
            FieldValue::U16(n) => Some(n.into()),
            FieldValue::I32(n) => Some(n.into()),
            FieldValue::U32(n) => Some(n.into()),
            FieldValue::I64(n) => Some(n),
            _ => None,
        }
    }

    /// Returns the nested table.
    pub fn as_table(&self) -> Option<&FieldTable> {
        match self {
            FieldValue::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Returns the items of an array.
    pub fn as_array(&self) -> Option<&[FieldValue]> {
        match self {
            FieldValue::Array(items) => Some(items),
            _ => None,
        }
    }
}

impl From<bool> for FieldValue {
    fn from(value: bool) -> FieldValue {
        FieldValue::Bool(value)
    }
}

/// Chooses the width as py-amqp does: `I` if the number fits (for py-amqp, -2147483648 does not), else `L`.
impl From<i64> for FieldValue {
    fn from(value: i64) -> FieldValue {
        match i32::try_from(value) {
            Ok(value) if value != i32::MIN => FieldValue::I32(value),
            _ => FieldValue::I64(value),
        }
    }
}

impl From<f64> for FieldValue {
    fn from(value: f64) -> FieldValue {
        FieldValue::F64(value)
    }
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> FieldValue {
        FieldValue::LongString(text.as_bytes().to_vec())
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> FieldValue {
        FieldValue::LongString(text.into_bytes())
    }
}

impl From<Vec<FieldValue>> for FieldValue {
    fn from(items: Vec<FieldValue>) -> FieldValue {
        FieldValue::Array(items)
    }
}

impl From<FieldTable> for FieldValue {
    fn from(table: FieldTable) -> FieldValue {
        FieldValue::Table(table)
    }
}

impl<T: Into<FieldValue>> From<Option<T>> for FieldValue {
    fn from(value: Option<T>) -> FieldValue {
        value.map_or(FieldValue::Void, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_the_width_of_py_amqp() {
        assert_eq!(FieldValue::from(2_147_483_647), FieldValue::I32(i32::MAX));
        assert_eq!(FieldValue::from(2_147_483_648), FieldValue::I64(2_147_483_648));
        assert_eq!(FieldValue::from(-2_147_483_647), FieldValue::I32(-i32::MAX));
        assert_eq!(FieldValue::from(-2_147_483_648), FieldValue::I64(i32::MIN.into()));
    }
}
