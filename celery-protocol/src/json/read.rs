//! The reader: `Modules/_json.c` of CPython, with its error texts.

use super::error::JsonError;
use super::limits::MAX_DEPTH;
use super::scanner::Scanner;
use super::typed;
use crate::dict::Dict;
use crate::text::Text;
use crate::value::Value;

pub(super) struct Reader<'a> {
    scanner: Scanner<'a>,
    /// Whether objects with `__type__` and `__value__` are converted.
    typed: bool,
}

/// A container whose end has not been read yet.
enum Open {
    Array(Vec<Value>),
    /// The members so far, and the key of the next value.
    Object(Vec<(Text, Value)>, Text),
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader {
            scanner: Scanner::new(text),
            typed: true,
        }
    }

    /// Creates a reader that does not convert objects with `__type__` and `__value__`.
    pub(super) fn untyped(text: &'a str) -> Reader<'a> {
        Reader {
            typed: false,
            ..Reader::new(text)
        }
    }

    pub(super) fn document(mut self) -> Result<Value, JsonError> {
        if self.scanner.begins_with('\u{FEFF}') {
            return self
                .scanner
                .error("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0);
        }
        self.scanner.skip_white_space();
        let value = self.value()?;
        self.scanner.skip_white_space();
        if self.scanner.peek().is_some() {
            return self.scanner.error_here("Extra data");
        }
        Ok(value)
    }

    /// Reads a value with everything in it. Open containers are kept on an explicit stack, so that no body can exhaust
    /// the thread's.
    fn value(&mut self) -> Result<Value, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.scanner.peek() {
                Some(b'[') => {
                    if !self.enter_array(open.len())? {
                        open.push(Open::Array(Vec::new()));
                        continue;
                    }
                    Value::List(Vec::new())
                }
                Some(b'{') => match self.enter_object(open.len())? {
                    None => Value::Dict(Dict::new()),
                    Some(key) => {
                        open.push(Open::Object(Vec::new(), key));
                        continue;
                    }
                },
                _ => self.scanner.scalar()?,
            };
            loop {
                self.scanner.skip_white_space();
                match (open.pop(), self.scanner.peek()) {
                    (None, _) => return Ok(value),
                    (Some(Open::Array(mut items)), Some(b',')) => {
                        items.push(value);
                        self.scanner.skip_separator();
                        open.push(Open::Array(items));
                        break;
                    }
                    (Some(Open::Object(mut pairs, key)), Some(b',')) => {
                        pairs.push((key, value));
                        self.scanner.skip_separator();
                        open.push(Open::Object(pairs, self.key()?));
                        break;
                    }
                    (Some(Open::Array(mut items)), Some(b']')) => {
                        items.push(value);
                        value = Value::List(items);
                    }
                    (Some(Open::Object(mut pairs, key)), Some(b'}')) => {
                        pairs.push((key, value));
                        value = self.finish_object(pairs)?;
                    }
                    _ => return self.scanner.error_here("Expecting ',' delimiter"),
                }
                self.scanner.skip_one();
            }
        }
    }

    /// Reads the opening bracket. Returns whether the array is empty and thus complete.
    fn enter_array(&mut self, depth: usize) -> Result<bool, JsonError> {
        self.enter(depth)?;
        let empty = self.scanner.peek() == Some(b']');
        if empty {
            self.scanner.skip_one();
        }
        Ok(empty)
    }

    /// Reads the opening brace. Returns the first key, or nothing if the object is empty and thus complete.
    fn enter_object(&mut self, depth: usize) -> Result<Option<Text>, JsonError> {
        self.enter(depth)?;
        if self.scanner.peek() == Some(b'}') {
            self.scanner.skip_one();
            return Ok(None);
        }
        self.key().map(Some)
    }

    fn finish_object(&self, pairs: Vec<(Text, Value)>) -> Result<Value, JsonError> {
        let dict = pairs.into_iter().collect();
        if self.typed {
            typed::from_dict(dict)
        } else {
            Ok(Value::Dict(dict))
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth == MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.scanner.skip_separator();
        Ok(())
    }

    /// Reads a key and everything up to its value.
    fn key(&mut self) -> Result<Text, JsonError> {
        if self.scanner.peek() != Some(b'"') {
            return self
                .scanner
                .error_here("Expecting property name enclosed in double quotes");
        }
        let key = self.scanner.string()?;
        self.scanner.skip_white_space();
        if self.scanner.peek() != Some(b':') {
            return self.scanner.error_here("Expecting ':' delimiter");
        }
        self.scanner.skip_separator();
        Ok(key)
    }
}
