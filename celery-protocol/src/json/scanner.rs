//! The tokens: the words, numbers and strings of `Modules/_json.c`.

use super::error::JsonError;
use super::limits::MAX_INT_DIGITS;
use crate::text::Text;
use crate::value::{BigInt, Value};

/// A text and the position up to which it has been read.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        Scanner {
            text,
            bytes: text.as_bytes(),
            pos: 0,
        }
    }

    pub(super) fn begins_with(&self, first: char) -> bool {
        self.text.starts_with(first)
    }

    /// Returns an error at this byte of the text.
    pub(super) fn error<T>(&self, message: impl Into<String>, at: usize) -> Result<T, JsonError> {
        Err(JsonError::syntax(message, self.text, at))
    }

    /// Returns an error at the next byte.
    pub(super) fn error_here<T>(&self, message: &str) -> Result<T, JsonError> {
        self.error(message, self.pos)
    }

    /// Returns the next byte, or `None` at the end.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    pub(super) fn skip_one(&mut self) {
        self.pos += 1;
    }

    pub(super) fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    /// Reads a value that is not a container.
    pub(super) fn scalar(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'n') if self.take("null") => Ok(Value::None),
            Some(b't') if self.take("true") => Ok(Value::Bool(true)),
            Some(b'f') if self.take("false") => Ok(Value::Bool(false)),
            Some(b'N') if self.take("NaN") => Ok(Value::Float(f64::NAN)),
            Some(b'I') if self.take("Infinity") => Ok(Value::Float(f64::INFINITY)),
            Some(b'-') if self.take("-Infinity") => Ok(Value::Float(f64::NEG_INFINITY)),
            _ => self.number(),
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self
            .bytes
            .get(self.pos..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if there {
            self.pos += word.len();
        }
        there
    }

    /// Skips one character and the white space after it.
    pub(super) fn skip_separator(&mut self) {
        self.pos += 1;
        self.skip_white_space();
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.pos;
        let mut end = start + usize::from(self.peek() == Some(b'-'));
        let digits_end = |from: usize| {
            from + self
                .bytes
                .iter()
                .skip(from)
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        match self.bytes.get(end) {
            Some(b'0') => end += 1,
            Some(b'1'..=b'9') => end = digits_end(end),
            _ => return self.error("Expecting value", start),
        }
        let integer_end = end;
        if self.bytes.get(end) == Some(&b'.') && digits_end(end + 1) > end + 1 {
            end = digits_end(end + 1);
        }
        if let Some(b'e' | b'E') = self.bytes.get(end) {
            let digits = end + 1 + usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            if digits_end(digits) > digits {
                end = digits_end(digits);
            }
        }
        self.pos = end;
        let number = self.text.get(start..end).unwrap_or_default();
        if end > integer_end {
            return Ok(Value::Float(number.parse().unwrap_or(f64::NAN)));
        }
        let digits = number.trim_start_matches('-').len();
        if digits > MAX_INT_DIGITS {
            return Err(JsonError::IntTooLong { digits });
        }
        Ok(BigInt::parse(number).unwrap_or(Value::None))
    }

    /// Reads a string from its opening quote to its closing one.
    pub(super) fn string(&mut self) -> Result<Text, JsonError> {
        let quote = self.pos;
        self.pos += 1;
        let mut text = Text::new();
        loop {
            let chunk = self.pos;
            let rest = self.bytes.get(chunk..).unwrap_or_default();
            let length = rest
                .iter()
                .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0x00..=0x1F))
                .count();
            self.pos += length;
            let chunk = self.text.get(chunk..self.pos).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    if text.is_empty() {
                        return Ok(Text::from(chunk));
                    }
                    text.push_str(chunk);
                    return Ok(text);
                }
                Some(b'\\') => {
                    text.push_str(chunk);
                    self.pos += 1;
                    text.push_code_point(self.escape(quote)?);
                }
                Some(_) => return self.error("Invalid control character at", self.pos),
                None => return self.error("Unterminated string starting at", quote),
            }
        }
    }

    /// Reads the rest of an escape after its backslash. Returns the code point.
    fn escape(&mut self, quote: usize) -> Result<u32, JsonError> {
        let Some(letter) = self.peek() else {
            return self.error("Unterminated string starting at", quote);
        };
        self.pos += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => letter.into(),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let Some(unit) = self.hex4(self.pos) else {
                    return self.error("Invalid \\uXXXX escape", self.pos - 1);
                };
                self.pos += 4;
                if (0xD800..0xDC00).contains(&unit)
                    && self.bytes.get(self.pos..self.pos + 2) == Some(b"\\u")
                    && let Some(low @ 0xDC00..0xE000) = self.hex4(self.pos + 2)
                {
                    self.pos += 6;
                    return Ok(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
                }
                unit
            }
            _ => return self.error("Invalid \\escape", self.pos - 2),
        })
    }

    /// Reads four hexadecimal digits. Python requires one more character behind them, even if it is the closing quote.
    fn hex4(&self, at: usize) -> Option<u32> {
        self.bytes.get(at + 4)?;
        let digits = self.text.get(at..at + 4)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    }
}
