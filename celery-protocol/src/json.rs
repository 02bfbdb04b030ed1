//! JSON as Python's `json` module and kombu read and write it (contract A.8).

mod error;
mod limits;
mod read;
mod scanner;
mod typed;
mod typed_uuid;
mod write;

pub use error::JsonError;
pub use limits::{MAX_DEPTH, MAX_INT_DIGITS};

use crate::dict::Dict;
use crate::value::Value;

/// Reads a body: UTF-8, one value with optional white space around it, and nothing else. Objects with exactly the two
/// keys `__type__` and `__value__` become typed values, at any depth. The last of repeated keys wins. `NaN`,
/// `Infinity`, `-Infinity`, integers of any size and lone surrogates are valid.
///
/// # Errors
/// The reason why Celery drops the message as undecodable; [`JsonError::py_repr`] returns Python's exception.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_text(std::str::from_utf8(bytes).map_err(|error| JsonError::utf8(bytes, error))?)
}

/// Like [`parse`], for text.
///
/// # Errors
/// Like [`parse`].
pub fn parse_text(text: &str) -> Result<Value, JsonError> {
    read::Reader::new(text).document()
}

/// Reads text as Python's own `json.loads` does: like [`parse`], but an object with `__type__` and `__value__` is a
/// dict like any other.
///
/// # Errors
/// If Python raises, and if the text is not UTF-8; never [`JsonError::Typed`].
pub fn parse_untyped(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::utf8(bytes, error))?;
    read::Reader::untyped(text).document()
}

/// Writes a value as `kombu.utils.json.dumps` does: separators `", "` and `": "`, ASCII only, typed values as objects
/// with `__type__` and `__value__`, tuples as arrays.
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write::value(value, &mut out);
    out
}

/// Appends a list in the form of [`to_json`].
pub(crate) fn write_list(items: &[Value], out: &mut String) {
    write::list(items, out);
}

/// Appends a dict in the form of [`to_json`].
pub(crate) fn write_dict(dict: &Dict, out: &mut String) {
    write::dict(dict, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize, open: &str, close: &str) -> String {
        open.repeat(depth) + "1" + &close.repeat(depth)
    }

    /// Runs on a smaller stack than the 2 MiB of a tokio thread; most of it is needed for the derived `clone` of a
    /// debug build.
    #[test]
    fn the_deepest_value_can_be_handled() {
        let handle = || {
            for (open, close) in [("[", "]"), ("{\"a\": ", "}")] {
                let text = nested(MAX_DEPTH, open, close);
                let value = parse(text.as_bytes()).expect("just not too deep");
                assert_eq!(to_json(&value), text);
                assert_eq!(value, value.clone());
                assert!(value.py_repr().len() > MAX_DEPTH);
                assert_eq!(
                    crate::saferepr::saferepr(&value, None, 0).char_count(),
                    value.py_repr().len()
                );
                assert_eq!(
                    parse(nested(MAX_DEPTH + 1, open, close).as_bytes()),
                    Err(JsonError::TooDeep)
                );
                assert_eq!(parse(open.repeat(10_000_000).as_bytes()), Err(JsonError::TooDeep));
            }
        };
        let thread = std::thread::Builder::new()
            .stack_size(1280 * 1024)
            .spawn(handle)
            .expect("a thread");
        thread.join().expect("no overflow, no panic");
    }

    #[test]
    fn integers_end_where_python_ends() {
        let digits = "7".repeat(MAX_INT_DIGITS);
        assert_eq!(
            parse(digits.as_bytes()).map(|value| value.py_str()),
            Ok(digits.clone())
        );
        let error = parse(format!("-{digits}7").as_bytes()).expect_err("one digit more");
        assert_eq!(
            error,
            JsonError::IntTooLong {
                digits: MAX_INT_DIGITS + 1
            }
        );
        assert!(
            error
                .py_repr()
                .starts_with("ValueError('Exceeds the limit (4300 digits)"),
            "{}",
            error.py_repr()
        );
    }

    #[test]
    fn errors_do_not_show_the_body() {
        for body in [
            r#"["secret", {"__type__": "uuid", "__value__": {"hex": "secret"}}]"#,
            r#"["secret", {"__type__": "nope", "__value__": "secret"}]"#,
            r#"["secret", {"__type__": "datetime", "__value__": "secret"}]"#,
            r#"["secret" "secret"]"#,
            "[\"secret\", \"\u{1}\"]",
        ] {
            let error = parse(body.as_bytes()).expect_err(body);
            assert!(
                !format!("{error} {}", error.py_repr()).contains("secret"),
                "{error}"
            );
        }
        let error = parse(b"[\"secret\xFF\"]").expect_err("not UTF-8");
        assert_eq!(
            error.py_repr(),
            "UnicodeDecodeError('utf-8', b'...', 8, 9, 'invalid start byte')"
        );
    }
}
