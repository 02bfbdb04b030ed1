//! A Python `str`: Unicode text that may contain lone surrogates.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::wtf8::{CodePoints, is_generalised_utf8};

/// A Python `str`. JSON such as `"\ud800"` decodes to one that no Rust [`String`] can represent (contract A.8), so the
/// text is stored as generalised UTF-8: a lone surrogate takes the three bytes that UTF-8 would give it.
///
/// Comparison and order are by code point, as in Python.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Unicode(String),
    /// Contains at least one surrogate.
    Surrogates(Vec<u8>),
}

impl Text {
    /// Creates an empty text.
    pub const fn new() -> Text {
        Text(Repr::Unicode(String::new()))
    }

    /// Reads generalised UTF-8 as Python's `bytes.decode("utf-8", "surrogatepass")` does; returns `None` if Python
    /// would raise.
    pub fn from_wtf8(bytes: Vec<u8>) -> Option<Text> {
        match String::from_utf8(bytes) {
            Ok(text) => Some(Text(Repr::Unicode(text))),
            Err(error) => {
                let bytes = error.into_bytes();
                is_generalised_utf8(&bytes).then_some(Text(Repr::Surrogates(bytes)))
            }
        }
    }

    /// Returns the text as Rust text, or `None` if it contains a surrogate.
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Repr::Unicode(text) => Some(text),
            Repr::Surrogates(_) => None,
        }
    }

    /// Returns the bytes of Python's `encode("utf-8", "surrogatepass")`.
    pub fn as_wtf8(&self) -> &[u8] {
        match &self.0 {
            Repr::Unicode(text) => text.as_bytes(),
            Repr::Surrogates(bytes) => bytes,
        }
    }

    /// Like [`Text::as_wtf8`], without a copy.
    pub fn into_wtf8(self) -> Vec<u8> {
        match self.0 {
            Repr::Unicode(text) => text.into_bytes(),
            Repr::Surrogates(bytes) => bytes,
        }
    }

    /// Returns the text with U+FFFD for each surrogate.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Unicode(text) => Cow::Borrowed(text),
            Repr::Surrogates(_) => Cow::Owned(
                self.code_points()
                    .map(|c| char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
            ),
        }
    }

    /// Returns the text as Python writes it to a log (`errors="backslashreplace"`): a lone surrogate as its escape,
    /// `\ud800`.
    pub fn escaped(&self) -> Cow<'_, str> {
        let character = |code_point| match char::from_u32(code_point) {
            Some(character) => character.to_string(),
            None => format!("\\u{code_point:04x}"),
        };
        match self.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.code_points().map(character).collect()),
        }
    }

    /// Returns the code points, including surrogates.
    pub fn code_points(&self) -> impl Iterator<Item = u32> + '_ {
        CodePoints::of(self.as_wtf8())
    }

    /// Python's `len()`: the number of code points.
    pub fn char_count(&self) -> usize {
        match &self.0 {
            Repr::Unicode(text) => text.chars().count(),
            Repr::Surrogates(_) => self.code_points().count(),
        }
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.as_wtf8().is_empty()
    }

    /// Appends Rust text.
    pub fn push_str(&mut self, text: &str) {
        match &mut self.0 {
            Repr::Unicode(own) => own.push_str(text),
            Repr::Surrogates(bytes) => bytes.extend_from_slice(text.as_bytes()),
        }
    }

    /// Appends a text.
    pub fn push_text(&mut self, text: &Text) {
        match &text.0 {
            Repr::Unicode(other) => self.push_str(other),
            Repr::Surrogates(other) => {
                let mut bytes = std::mem::take(self).into_wtf8();
                bytes.extend_from_slice(other);
                self.0 = Repr::Surrogates(bytes);
            }
        }
    }

    /// Appends a code point. A surrogate remains one even after its other half (Python joins them in `json`, but not
    /// here). Numbers above 10FFFF become U+FFFD.
    pub fn push_code_point(&mut self, code_point: u32) {
        if let Some(c) = char::from_u32(code_point) {
            let mut utf8 = [0; 4];
            self.push_str(c.encode_utf8(&mut utf8));
        } else if let Ok(surrogate) = u16::try_from(code_point) {
            let [high, low] = surrogate.to_be_bytes();
            let mut bytes = std::mem::take(self).into_wtf8();
            bytes.extend_from_slice(&[
                0xE0 | (high >> 4),
                0x80 | ((high & 0x0F) << 2) | (low >> 6),
                0x80 | (low & 0x3F),
            ]);
            self.0 = Repr::Surrogates(bytes);
        } else {
            self.push_str("\u{FFFD}");
        }
    }

    /// Returns Rust text if possible, else code points.
    pub(crate) fn code_points_or_str(&self) -> Result<&str, impl Iterator<Item = u32>> {
        match &self.0 {
            Repr::Unicode(text) => Ok(text),
            Repr::Surrogates(bytes) => Err(CodePoints::of(bytes)),
        }
    }

    /// Returns the first `count` code points.
    pub(crate) fn prefix(&self, count: usize) -> Text {
        match &self.0 {
            Repr::Unicode(text) => Text::from(text.chars().take(count).collect::<String>()),
            Repr::Surrogates(_) => self.code_points().take(count).collect(),
        }
    }
}

impl Default for Text {
    fn default() -> Text {
        Text::new()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(Repr::Unicode(text.to_owned()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(Repr::Unicode(text))
    }
}

impl FromIterator<u32> for Text {
    fn from_iter<I: IntoIterator<Item = u32>>(code_points: I) -> Text {
        let mut text = Text::new();
        for code_point in code_points {
            text.push_code_point(code_point);
        }
        text
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Unicode(text) => fmt::Debug::fmt(text, f),
            Repr::Surrogates(_) => {
                f.write_str("\"")?;
                for code_point in self.code_points() {
                    match char::from_u32(code_point) {
                        Some(c) => write!(f, "{}", c.escape_debug())?,
                        None => write!(f, "\\u{{{code_point:x}}}")?,
                    }
                }
                f.write_str("\"")
            }
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.as_wtf8() == other.as_wtf8()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_wtf8() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_wtf8() == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Text) -> Ordering {
        self.as_wtf8().cmp(other.as_wtf8())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wtf8().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_surrogates_and_orders_by_code_point() {
        let text: Text = "lone".chars().map(u32::from).chain([0xD800]).collect();
        assert_eq!(text.as_str(), None);
        assert_eq!(text.as_wtf8(), b"lone\xED\xA0\x80");
        assert_eq!(text.to_string_lossy(), "lone\u{FFFD}");
        assert_eq!(text.escaped(), r"lone\ud800");
        assert_eq!(text.char_count(), 5);
        assert_eq!(text.code_points().last(), Some(0xD800));
        assert_eq!(Text::from_wtf8(text.as_wtf8().to_vec()), Some(text.clone()));
        assert_eq!(format!("{text:?}"), r#""lone\u{d800}""#);
        assert_eq!(text.cmp(&Text::from("lone\u{E000}")), Ordering::Less);
        assert_eq!(text.prefix(4), "lone");
        assert_eq!(text.prefix(4).as_str(), Some("lone"));
    }

    #[test]
    fn refuses_what_python_refuses() {
        for bytes in [
            &b"\xFF"[..],
            b"\xED\xA0",
            b"\xC0\x80",
            b"\xF4\x90\x80\x80",
            b"\xED\xA0\x80\xFF",
        ] {
            assert_eq!(Text::from_wtf8(bytes.to_vec()), None, "{bytes:x?}");
        }
        assert!(Text::from_wtf8(b"\xED\xA0\xBD\xED\xB8\x80".to_vec()).is_some());
    }
}
