//! JSON as Python's `json` module and kombu read and write it (contract A.8).

mod error;
mod read;
mod typed;
mod write;

pub use error::JsonError;

use crate::dict::Dict;
use crate::value::Value;

/// How deep arrays and objects may be nested. Python's limit are 1,000 nested calls, its worker's own included, so that it
/// gives up a little earlier; such a body is undecodable there too.
pub const MAX_DEPTH: usize = 1000;

/// Python's limit to the digits of an integer (`sys.get_int_max_str_digits()`).
pub const MAX_INT_DIGITS: usize = 4300;

/// Reads a body: UTF-8, one value, white space around it, nothing else. Objects of exactly the two keys `__type__` and
/// `__value__` become typed values, at any depth; of repeated keys the last wins; `NaN`, `Infinity`, `-Infinity`,
/// integers of any size and lone surrogates are fine.
///
/// # Errors
/// What makes Celery drop the message as undecodable; [`JsonError::py_repr`] gives Python's exception.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_text(std::str::from_utf8(bytes).map_err(|error| JsonError::utf8(bytes, error))?)
}

/// [`parse`] of text.
///
/// # Errors
/// As there.
pub fn parse_text(text: &str) -> Result<Value, JsonError> {
    read::Reader::new(text).document()
}

/// Reads text as Python's own `json.loads` does: as [`parse`], but an object of `__type__` and `__value__` is a dict like
/// any other.
///
/// # Errors
/// Where Python raises, and for what is not UTF-8; never [`JsonError::Typed`].
pub fn parse_untyped(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::utf8(bytes, error))?;
    read::Reader::untyped(text).document()
}

/// Writes a value as `kombu.utils.json.dumps` does: separators `", "` and `": "`, ASCII only, typed values as objects of
/// `__type__` and `__value__`, tuples as arrays.
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write::value(value, &mut out);
    out
}

/// [`to_json`] of a list, into a text that is being built.
pub(crate) fn write_list(items: &[Value], out: &mut String) {
    write::list(items, out);
}

/// [`to_json`] of a dict, into a text that is being built.
pub(crate) fn write_dict(dict: &Dict, out: &mut String) {
    write::dict(dict, out);
}
