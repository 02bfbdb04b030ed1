//! JSON as Python's `json` module and kombu read and write it (contract A.8).

mod error;
mod read;
mod typed;
mod write;

pub use error::JsonError;

use crate::dict::Dict;
use crate::value::Value;

/// How deep arrays and objects may be nested. Python's own limit, its recursion limit of 1,000 calls, lies a little above;
/// its worker refuses such a body as undecodable too.
pub const MAX_DEPTH: usize = 900;

/// Python's limit to the digits of an integer (`sys.get_int_max_str_digits()`).
pub const MAX_INT_DIGITS: usize = 4300;

/// Reads a body: UTF-8, one value, white space around it, nothing else. Objects of exactly the two keys `__type__` and
/// `__value__` become typed values, at any depth; of repeated keys the last wins; `NaN`, `Infinity`, `-Infinity`,
/// integers of any size and lone surrogates are fine.
///
/// # Errors
/// What makes Celery drop the message as undecodable; [`JsonError::py_repr`] gives Python's exception.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::utf8(bytes, error))?;
    read::Reader::new(text).document()
}

/// Writes a value as `kombu.utils.json.dumps` does: separators `", "` and `": "`, ASCII only, typed values as objects of
/// `__type__` and `__value__`, tuples as arrays.
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write::value(value, &mut out);
    out
}

/// [`to_json`] into a text that is being built.
pub(crate) fn write_json(value: &Value, out: &mut String) {
    write::value(value, out);
}

pub(crate) fn write_list(items: &[Value], out: &mut String) {
    write::list(items, out);
}

pub(crate) fn write_dict(dict: &Dict, out: &mut String) {
    write::dict(dict, out);
}
