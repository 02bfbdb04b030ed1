//! Failures in the form that Celery's tools show.

use std::any::Any;
use std::fmt;

use celery_protocol::Value;

/// The exception that a Python task would have raised.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// The class name, `ValueError`.
    pub kind: String,
    /// The arguments, Python's `exc.args`: usually one text.
    pub args: Vec<Value>,
}

impl Exception {
    /// Creates an exception with a text: `new("ValueError", "boom")` is `ValueError('boom')`.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self::with_args(kind, vec![Value::from(message.into())])
    }

    /// Creates an exception with any arguments: `with_args("TimeLimitExceeded", vec![Value::from(2)])`.
    pub fn with_args(kind: impl Into<String>, args: Vec<Value>) -> Self {
        Self {
            kind: kind.into(),
            args,
        }
    }

    /// Returns the text, Python's `str()` of the exception.
    pub fn message(&self) -> String {
        match self.args.as_slice() {
            [] => String::new(),
            [message] => message.py_str(),
            args => Value::Tuple(args.to_vec()).py_repr(),
        }
    }
}

impl fmt::Display for Exception {
    /// Writes Python's `repr` of the exception, as in `task-failed` events and log lines (contract C.3, E.6).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<String> = self.args.iter().map(Value::py_repr).collect();
        write!(f, "{}({})", self.kind, args.join(", "))
    }
}

/// Returns the message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_shown_as_python_prints_them() {
        let exception = Exception::new("ValueError", "it's");
        assert_eq!(exception.to_string(), r#"ValueError("it's")"#);
        assert_eq!(exception.message(), "it's");
        let none = Exception::with_args("SoftTimeLimitExceeded", Vec::new());
        assert_eq!(
            (none.to_string().as_str(), none.message().as_str()),
            ("SoftTimeLimitExceeded()", "")
        );
        let two = Exception::with_args("OSError", vec![Value::from(2), Value::from("gone")]);
        assert_eq!(two.to_string(), "OSError(2, 'gone')");
        assert_eq!(two.message(), "(2, 'gone')");
    }
}
