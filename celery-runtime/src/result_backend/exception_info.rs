//! Exceptions as results: Celery's `prepare_exception` and its inverse.

use celery_protocol::{Dict, Value};

use crate::task::exception::Exception;

/// Python's own exceptions, except those that end a program.
const BUILTINS: &[&str] = &[
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BaseException",
    "BaseExceptionGroup",
    "BlockingIOError",
    "BrokenPipeError",
    "BufferError",
    "ChildProcessError",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "EOFError",
    "EnvironmentError",
    "Exception",
    "ExceptionGroup",
    "FileExistsError",
    "FileNotFoundError",
    "FloatingPointError",
    "IOError",
    "ImportError",
    "IndentationError",
    "IndexError",
    "InterruptedError",
    "IsADirectoryError",
    "KeyError",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "NotADirectoryError",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "PermissionError",
    "ProcessLookupError",
    "RecursionError",
    "ReferenceError",
    "RuntimeError",
    "RuntimeWarning",
    "StopAsyncIteration",
    "StopIteration",
    "SyntaxError",
    "SystemError",
    "TabError",
    "TimeoutError",
    "TypeError",
    "UnboundLocalError",
    "UnicodeDecodeError",
    "UnicodeEncodeError",
    "UnicodeError",
    "UnicodeTranslateError",
    "UnicodeWarning",
    "UserWarning",
    "ValueError",
    "Warning",
    "ZeroDivisionError",
];

/// Exceptions from the package of Celery's process pool.
const BILLIARD: &[&str] = &[
    "SoftTimeLimitExceeded",
    "Terminated",
    "TimeLimitExceeded",
    "WorkerLostError",
];

/// Returns the module and the name of a class. `package.module.Class` contains its module; for a bare name that is
/// neither Python's nor the pool's, it is the module in which Celery's clients create classes that they do not
/// know.
fn class(kind: &str) -> (&str, &str) {
    if let Some(class) = kind.rsplit_once('.') {
        class
    } else if BUILTINS.contains(&kind) {
        ("builtins", kind)
    } else if BILLIARD.contains(&kind) {
        ("billiard.exceptions", kind)
    } else {
        ("celery.exceptions", kind)
    }
}

/// Returns the result of a task that ended with this exception.
pub(crate) fn stored(exception: &Exception) -> Value {
    let (module, name) = class(&exception.kind);
    Value::Dict(Dict::from_iter([
        ("exc_type", Value::from(name)),
        ("exc_message", Value::List(exception.args.clone())),
        ("exc_module", Value::from(module)),
    ]))
}

/// Returns a traceback in Python's form with a single frame, so that Python's tools can read it: for
/// `task_remote_tracebacks`, `tblib` parses the text and fails if there is no frame.
pub(crate) fn traceback(task: &str, exception: &Exception) -> String {
    let (module, name) = class(&exception.kind);
    let class = match module {
        "builtins" => name.to_owned(),
        module => format!("{module}.{name}"),
    };
    let message = match name {
        // These have their own text.
        "SoftTimeLimitExceeded" | "TimeLimitExceeded" => {
            name.to_owned() + &Value::Tuple(exception.args.clone()).py_repr()
        }
        _ => exception.message(),
    };
    let separator = if message.is_empty() { "" } else { ": " };
    format!(
        "Traceback (most recent call last):\n  File \"{}\", line 0, in {task}\n{class}{separator}{message}\n",
        env!("CARGO_PKG_NAME")
    )
}

/// Returns Python's `repr` of a stored exception, as it would be rebuilt from `stored`.
pub(crate) fn repr(stored: &Value) -> String {
    let Some(info) = stored.as_dict() else {
        return stored.py_repr();
    };
    let kind = info.get("exc_type").and_then(Value::as_str).unwrap_or_default();
    let name = kind.rsplit_once('.').map_or(kind, |(_, name)| name);
    let args = match info.get("exc_message") {
        Some(Value::List(args) | Value::Tuple(args)) => args.clone(),
        Some(message) => vec![message.clone()],
        None => vec![Value::from("")],
    };
    Exception::with_args(name, args).to_string()
}

#[cfg(test)]
mod tests {
    use celery_protocol::json;

    use super::*;

    #[test]
    fn classes_have_pythons_modules() {
        let info = |kind: &str, args| json::to_json(&stored(&Exception::with_args(kind, args)));
        assert_eq!(
            info("ValueError", vec![Value::from("boom"), Value::from(2)]),
            r#"{"exc_type": "ValueError", "exc_message": ["boom", 2], "exc_module": "builtins"}"#
        );
        assert_eq!(
            info("SoftTimeLimitExceeded", Vec::new()),
            r#"{"exc_type": "SoftTimeLimitExceeded", "exc_message": [], "exc_module": "billiard.exceptions"}"#
        );
        assert_eq!(
            info("Reject", vec![Value::from("why"), Value::from(false)]),
            r#"{"exc_type": "Reject", "exc_message": ["why", false], "exc_module": "celery.exceptions"}"#
        );
        assert_eq!(
            info("proj.errors.Custom", vec![Value::from("boom")]),
            r#"{"exc_type": "Custom", "exc_message": ["boom"], "exc_module": "proj.errors"}"#
        );
    }

    #[test]
    fn tracebacks_end_like_pythons() {
        let last = |kind: &str, message: &str| {
            let text = traceback("demo.fail", &Exception::new(kind, message));
            let mut lines = text.lines();
            assert_eq!(lines.next(), Some("Traceback (most recent call last):"));
            assert_eq!(
                lines.next(),
                Some("  File \"celery-runtime\", line 0, in demo.fail")
            );
            assert!(text.ends_with('\n'));
            lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(last("ValueError", "boom"), "ValueError: boom");
        assert_eq!(last("ValueError", ""), "ValueError");
        assert_eq!(last("proj.Custom", "boom"), "proj.Custom: boom");
        let limit = traceback(
            "demo.soft",
            &Exception::with_args("SoftTimeLimitExceeded", Vec::new()),
        );
        assert!(limit.ends_with("\nbilliard.exceptions.SoftTimeLimitExceeded: SoftTimeLimitExceeded()\n"));
    }

    #[test]
    fn stored_exceptions_are_shown_as_python_shows_them() {
        let shown = |text: &str| repr(&json::parse(text.as_bytes()).unwrap());
        for (stored, expected) in [
            (
                r#"{"exc_type": "ValueError", "exc_message": ["x"], "exc_module": "builtins"}"#,
                "ValueError('x')",
            ),
            (
                r#"{"exc_type": "O.In", "exc_message": [1, "a"], "exc_module": "m"}"#,
                "In(1, 'a')",
            ),
            (
                r#"{"exc_type": "KeyError", "exc_message": "k", "exc_module": null}"#,
                "KeyError('k')",
            ),
            (
                r#"{"exc_type": "E", "exc_message": [], "exc_module": null}"#,
                "E()",
            ),
            ("null", "None"),
        ] {
            assert_eq!(shown(stored), expected);
        }
    }
}
