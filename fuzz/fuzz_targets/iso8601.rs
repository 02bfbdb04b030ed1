//! Any text is read as a time, or refused, without a panic; formatting the time and reading it again gives the same
//! time.

#![no_main]

use celery_protocol::{Value, iso8601, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match iso8601::parse(text) {
        Ok(time) => {
            let own = time.isoformat();
            let again = iso8601::parse(&own).expect("own text");
            assert_eq!(again.isoformat(), own);
            assert_eq!(again, time, "{own}");
            assert_eq!(again.timestamp(), time.timestamp());
            assert_eq!(time.or_utc().timestamp(), time.timestamp());
            assert!(!time.or_utc().is_naive());
        }
        Err(error) => drop(error.to_string()),
    }
    for kind in ["datetime", "date", "time"] {
        typed(kind, text);
    }
});

/// Reads the same text as a typed value, for which Python has other rules.
fn typed(kind: &str, text: &str) {
    let text = json::to_json(&Value::from(text));
    let body = format!("{{\"__type__\": \"{kind}\", \"__value__\": {text}}}");
    match json::parse(body.as_bytes()) {
        Ok(value) => {
            let _ = (value.py_str(), value.py_repr());
            assert_eq!(json::parse(json::to_json(&value).as_bytes()), Ok(value), "{body}");
        }
        Err(error) => drop(error.py_repr()),
    }
}
