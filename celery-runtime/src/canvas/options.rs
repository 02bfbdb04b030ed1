//! Options of a signature, as Celery reads them.

use celery_protocol::{Dict, Value};

/// What Python writes as `{**into, **from}`.
pub(super) fn merge(into: &mut Dict, from: &Dict) {
    for (name, value) in from {
        into.insert(name.clone(), value.clone());
    }
}

/// The text of an option that is there and not empty.
pub(super) fn text(options: &Dict, name: &str) -> Option<String> {
    options
        .get(name)
        .filter(|value| value.is_truthy())
        .map(Value::py_str)
}

/// Celery's `maybe_list`: one thing is a list of it.
pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    match value {
        None | Some(Value::None) => Vec::new(),
        Some(Value::List(items) | Value::Tuple(items)) => items.clone(),
        Some(one) => vec![one.clone()],
    }
}
