//! The values that kombu's JSON can represent.

use std::fmt;

use uuid::Uuid;

use crate::dict::Dict;
use crate::text::Text;

/// A Python value as an argument, keyword argument or result of a task (contract A.8).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `bool`
    Bool(bool),
    /// `int` of 64 bits
    Int(i64),
    /// `int` of any other size
    BigInt(BigInt),
    /// `float`
    Float(f64),
    /// `str`
    Text(Text),
    /// `bytes`
    Bytes(Vec<u8>),
    /// `list`
    List(Vec<Value>),
    /// `tuple`; a list on the wire.
    Tuple(Vec<Value>),
    /// `dict`
    Dict(Dict),
    /// `uuid.UUID`
    Uuid(Uuid),
    /// `datetime.datetime`, as `isoformat()` writes it
    DateTime(String),
    /// `datetime.date`, as `isoformat()` writes it
    Date(String),
    /// `datetime.time`, as `isoformat()` writes it
    Time(String),
    /// `decimal.Decimal`, as `str()` writes it
    Decimal(String),
}

/// An integer that does not fit into 64 bits, stored as its decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(String);

impl BigInt {
    /// Parses decimal digits with an optional minus sign: [`Value::Int`] if the number fits into 64 bits. Returns
    /// `None` if the text is not such a number.
    pub fn parse(digits: &str) -> Option<Value> {
        if let Ok(number) = digits.parse::<i64>()
            && !digits.starts_with('+')
        {
            return Some(Value::Int(number));
        }
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", digits),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        match digits.trim_start_matches('0') {
            "" => Some(Value::Int(0)),
            digits => {
                let canonical = format!("{sign}{digits}");
                Some(
                    canonical
                        .parse()
                        .map_or(Value::BigInt(BigInt(canonical)), Value::Int),
                )
            }
        }
    }

    /// Returns the decimal digits, with a minus sign if negative.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value {
    /// Returns the text of a [`Value::Text`] without surrogates.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => text.as_str(),
            _ => None,
        }
    }

    /// Returns the text of a [`Value::Text`].
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number of a [`Value::Int`].
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the items of a list or tuple.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the dict.
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Value::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// Returns whether this is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    /// Python's `bool()`.
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Bytes(bytes) => !bytes.is_empty(),
            Value::List(items) | Value::Tuple(items) => !items.is_empty(),
            Value::Dict(dict) => !dict.is_empty(),
            Value::Decimal(text) => text
                .bytes()
                .take_while(|byte| *byte != b'E')
                .any(|byte| !matches!(byte, b'0' | b'.' | b'-')),
            Value::BigInt(_) | Value::Uuid(_) | Value::DateTime(_) | Value::Date(_) | Value::Time(_) => true,
        }
    }

    /// Python's `type(value).__name__`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::Uuid(_) => "UUID",
            Value::DateTime(_) => "datetime",
            Value::Date(_) => "date",
            Value::Time(_) => "time",
            Value::Decimal(_) => "Decimal",
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        i64::try_from(value).map_or_else(|_| Value::BigInt(BigInt(value.to_string())), Value::Int)
    }
}

impl From<i128> for Value {
    fn from(value: i128) -> Value {
        i64::try_from(value).map_or_else(|_| Value::BigInt(BigInt(value.to_string())), Value::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Value {
        Value::Text(text)
    }
}

impl From<Uuid> for Value {
    fn from(uuid: Uuid) -> Value {
        Value::Uuid(uuid)
    }
}

impl From<Dict> for Value {
    fn from(dict: Dict) -> Value {
        Value::Dict(dict)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::None, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_64_bits_are_plain() {
        assert_eq!(BigInt::parse("-9223372036854775808"), Some(Value::Int(i64::MIN)));
        assert_eq!(BigInt::parse("0009"), Some(Value::Int(9)));
        assert_eq!(BigInt::parse("-0"), Some(Value::Int(0)));
        let big = BigInt::parse("-09223372036854775809").expect("a number");
        assert_eq!(big.py_str(), "-9223372036854775809");
        assert_eq!(big, Value::from(i128::from(i64::MIN) - 1));
        for text in ["", "-", "+1", "1.0", "0x1", " 1"] {
            assert_eq!(BigInt::parse(text), None, "{text}");
        }
    }

    #[test]
    fn truth_is_python_s() {
        let decimal = |text: &str| Value::Decimal(text.to_owned());
        for value in [
            Value::None,
            0.into(),
            (-0.0).into(),
            "".into(),
            decimal("0.00"),
            decimal("-0E+3"),
        ] {
            assert!(!value.is_truthy(), "{value:?}");
        }
        for value in [
            f64::NAN.into(),
            "0".into(),
            decimal("0.01"),
            decimal("NaN"),
            Value::List(vec![Value::None]),
        ] {
            assert!(value.is_truthy(), "{value:?}");
        }
    }
}
