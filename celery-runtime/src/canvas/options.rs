//! Options of a signature, as Celery reads them.

use celery_protocol::{Dict, Value};

/// Merges as Python's `{**into, **from}` does.
pub(super) fn merge(into: &mut Dict, from: &Dict) {
    for (name, value) in from {
        into.insert(name.clone(), value.clone());
    }
}

/// Returns the text of an option that is set and not empty.
pub(super) fn text(options: &Dict, name: &str) -> Option<String> {
    options
        .get(name)
        .filter(|value| value.is_truthy())
        .map(Value::py_str)
}

/// Implements Celery's `maybe_list`: a single value becomes a list with one item.
pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    match value {
        None | Some(Value::None) => Vec::new(),
        Some(Value::List(items) | Value::Tuple(items)) => items.clone(),
        Some(one) => vec![one.clone()],
    }
}
