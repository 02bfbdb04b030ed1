//! The cases in which our answers differ from the recorded ones.

use std::collections::BTreeSet;

use celery_protocol::Value;
use harness::{Decision, adr, recorded};

use crate::corpus::Outcome;

/// The reason why an answer, or an enqueued task, differs from the recording.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deviation {
    /// Errors are JSON; status and `Allow` are Python's.
    ErrorInJson,
    /// A body that is not JSON: 400 as in Python (500 for deep nesting), with the mistake in JSON.
    NotJson,
    /// JSON that is not an object: 400, not 500.
    NotAnObject,
    /// A `callback_url` that is not a string: 400, not accepted and lost.
    NotAString,
    /// HEAD enqueues nothing.
    Head,
    /// A token or URL over 16 KiB: 414.
    TooLong,
    /// A body over 64 KiB: 413.
    BodyTooLarge,
    /// Raw UTF-8 in path and query is UTF-8, not Latin-1.
    RawUtf8,
    /// Too many or too long header lines: 431 as in Python, with another body.
    Headers,
    /// A request that is malformed for the HTTP server: 400.
    Malformed,
    /// A connection stays open for the next request.
    KeptAlive,
}

impl Deviation {
    pub(crate) fn decision(self) -> Decision {
        match self {
            Self::ErrorInJson => adr(19, "errors are JSON"),
            Self::NotJson => adr(19, "a body that is not JSON: 400, with the mistake in JSON"),
            Self::NotAnObject => adr(19, "JSON that is not an object: 400, not 500"),
            Self::NotAString => adr(
                19,
                "a callback_url that is not a string: 400, not accepted and lost",
            ),
            Self::Head => adr(20, "HEAD enqueues nothing"),
            Self::TooLong => adr(22, "a token or URL over 16 KiB: 414"),
            Self::BodyTooLarge => adr(22, "a body over 64 KiB: 413"),
            Self::RawUtf8 => adr(21, "raw UTF-8 in path and query is UTF-8"),
            Self::Headers => adr(
                22,
                "too many or too long headers: 431 as in Python, without its page",
            ),
            Self::Malformed => adr(36, "malformed HTTP is refused with 400"),
            Self::KeptAlive => adr(36, "a connection stays open for the next request"),
        }
    }
}

/// The deviating cases. All others are answered byte for byte as recorded.
const DEVIATIONS: &[(Deviation, &[&str])] = &[
    (Deviation::ErrorInJson, ERROR_IN_JSON),
    (Deviation::NotAnObject, NOT_AN_OBJECT),
    (Deviation::NotAString, NOT_A_STRING),
    (Deviation::Head, &["method-HEAD", "method-HEAD-json"]),
    (Deviation::TooLong, TOO_LONG),
    (Deviation::BodyTooLarge, &["body-json-1MB", "body-json-deep-100k"]),
    (Deviation::RawUtf8, &["token-utf8-raw", "query-utf8-raw"]),
    (Deviation::Headers, &["proto-header-66k", "proto-headers-150"]),
    (Deviation::Malformed, MALFORMED),
    (Deviation::KeptAlive, &["proto-pipelined"]),
];

const ERROR_IN_JSON: &[&str] = &[
    "path-root",
    "path-station",
    "path-station-only",
    "path-driver",
    "path-no-authorize",
    "path-acl-path",
    "path-trailing-slash",
    "path-trailing-slash-no-cb",
    "path-case-station",
    "path-case-authorize",
    "path-suffix",
    "path-extra-segment",
    "path-favicon",
    "path-static",
    "path-static-traversal",
    "path-star",
    "path-dot-segments",
    "path-dot-segment-single",
    "path-encoded-dots",
    "path-semicolon-path",
    "path-backslash",
    "path-trailing-slash-POST",
    "station-no-dashes",
    "station-braces",
    "station-braces-encoded",
    "station-urn",
    "station-short",
    "station-long",
    "station-bad-digit",
    "station-space",
    "station-dash-moved",
    "station-empty",
    "station-text",
    "station-fullwidth",
    "station-arabic-digit",
    "station-newline",
    "token-empty",
    "token-encoded-slash",
    "token-encoded-slash-only",
    "token-authorize-x",
    "proto-host-evil-redirect",
    "proto-404-accept-json",
    "method-PUT",
    "method-PUT-no-callback",
    "method-DELETE",
    "method-DELETE-no-callback",
    "method-PATCH",
    "method-PATCH-no-callback",
    "method-TRACE",
    "method-TRACE-no-callback",
    "method-CONNECT",
    "method-CONNECT-no-callback",
    "method-FOO",
    "method-FOO-no-callback",
    "method-PROPFIND",
    "method-PROPFIND-no-callback",
];

/// Cases with the error text of our answer.
const NOT_JSON: &[(&str, &str)] = &[
    ("body-json-empty", "Expecting value: line 1 column 1 (char 0)"),
    (
        "body-json-whitespace",
        "Expecting value: line 1 column 3 (char 2)",
    ),
    (
        "body-json-invalid",
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    (
        "body-json-invalid-single-quotes",
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    (
        "body-json-trailing-comma",
        "Expecting property name enclosed in double quotes: line 1 column 37 (char 36)",
    ),
    (
        "body-json-trailing-garbage",
        "Extra data: line 1 column 43 (char 42)",
    ),
    ("body-json-invalid-utf8", "its bytes are not valid UTF-8"),
    ("body-json-latin1", "its bytes are not valid UTF-8"),
    (
        "body-json-bigint",
        "an integer of 5000 digits, more than the 4300 that Python reads",
    ),
    (
        "body-json-invalid-and-query",
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    (
        "body-json-empty-and-query",
        "Expecting value: line 1 column 1 (char 0)",
    ),
    ("body-json-GET-empty", "Expecting value: line 1 column 1 (char 0)"),
    (
        "body-json-GET-no-body",
        "Expecting value: line 1 column 1 (char 0)",
    ),
    (
        "body-json-POST-no-length",
        "Expecting value: line 1 column 1 (char 0)",
    ),
    (
        "body-json-length-short",
        "Unterminated string starting at: line 1 column 2 (char 1)",
    ),
    ("body-json-gzip", "its bytes are not valid UTF-8"),
    ("body-json-deep", "nested deeper than 1000 levels"),
];

const NOT_AN_OBJECT: &[&str] = &[
    "body-json-string",
    "body-json-list",
    "body-json-list-empty",
    "body-json-null",
    "body-json-true",
    "body-json-false",
    "body-json-number",
    "body-json-zero",
    "body-json-list-and-query",
];

const NOT_A_STRING: &[&str] = &[
    "body-json-value-number",
    "body-json-value-float",
    "body-json-value-true",
    "body-json-value-list",
    "body-json-value-dict",
    "body-json-value-typed-uuid",
    "body-json-value-typed-bad",
    "body-json-value-typed-unknown",
    "body-json-value-nan",
];

const TOO_LONG: &[&str] = &[
    "token-60000",
    "query-60k",
    "query-65500-line",
    "query-65536-line",
    "query-65537-line",
    "query-100k",
];

/// Python accepts path-relative, token-lt, query-latin1-raw-byte, proto-http09 and proto-header-no-colon; it refuses
/// the others with an HTML page.
const MALFORMED: &[&str] = &[
    "path-relative",
    "path-empty-target",
    "path-space-in-target",
    "path-tab-in-target",
    "token-lt",
    "query-latin1-raw-byte",
    "body-json-length-abc",
    "body-json-length-negative",
    "proto-http09",
    "proto-http20",
    "proto-bad-version",
    "proto-garbage",
    "proto-header-no-colon",
];

/// Returns every deviating case.
pub(crate) fn cases() -> BTreeSet<&'static str> {
    let listed = DEVIATIONS.iter().flat_map(|(_, cases)| *cases).copied();
    listed.chain(NOT_JSON.iter().map(|(case, _)| *case)).collect()
}

/// Returns why a case deviates, if it does.
pub(crate) fn deviation(case: &str) -> Option<Deviation> {
    if NOT_JSON.iter().any(|(of, _)| *of == case) {
        return Some(Deviation::NotJson);
    }
    let listed = DEVIATIONS.iter().find(|(_, cases)| cases.contains(&case));
    listed.map(|(deviation, _)| *deviation)
}

/// Turns the recorded outcome into ours.
pub(crate) fn deviate(deviation: Deviation, case: &str, expected: &mut Outcome) {
    let Outcome { answers, enqueued } = expected;
    let answer = answers.first().cloned().unwrap_or_else(|| recorded::refusal(400));
    let error = |status: u16, message: &str| {
        vec![answer.with_json(Some(status), &serde_json::json!({ "error": message }))]
    };
    match deviation {
        Deviation::ErrorInJson => {
            let message = if answer.status == Some(404) {
                "not found"
            } else {
                "method not allowed"
            };
            *answers = vec![answer.with_json_error(message)];
        }
        Deviation::NotJson => {
            let message = NOT_JSON.iter().find(|(of, _)| *of == case).unwrap().1;
            *answers = error(400, &format!("The request body is not JSON: {message}"));
        }
        Deviation::NotAnObject => {
            *answers = error(
                400,
                &format!(
                    "The JSON body must be an object with callback_url, not {}",
                    kind(case)
                ),
            );
        }
        Deviation::NotAString => {
            *answers = error(400, &format!("callback_url must be a string, not {}", kind(case)));
            enqueued.clear();
        }
        Deviation::Head => enqueued.clear(),
        Deviation::TooLong => {
            *answers = match case {
                "token-60000" => error(414, "the driver token is longer than 16 KiB"),
                "query-100k" => vec![recorded::refusal(414)],
                _ => error(414, "callback_url is longer than 16 KiB"),
            };
            enqueued.clear();
        }
        Deviation::BodyTooLarge => {
            *answers = error(413, "The request body is larger than 64 KiB");
            enqueued.clear();
        }
        Deviation::RawUtf8 => {
            for value in enqueued.iter_mut().flatten() {
                if let Value::Text(text) = value {
                    *text = text.to_string_lossy().replace("Ã©", "é").into();
                }
            }
        }
        Deviation::Headers => {
            *answers = match case {
                "proto-headers-150" => vec![recorded::refusal(431)],
                _ => error(431, "the headers are too long"),
            };
        }
        Deviation::Malformed => {
            *answers = vec![recorded::refusal(400)];
            enqueued.clear();
        }
        Deviation::KeptAlive => {
            answers.push(answer);
            enqueued.extend_from_within(..);
        }
    }
}

/// Returns JSON's name for the type of a case's value, with its article.
fn kind(case: &str) -> &'static str {
    match case.trim_start_matches("body-json-").trim_start_matches("value-") {
        "string" => "a string",
        "list" | "list-empty" | "list-and-query" => "an array",
        "null" => "null",
        "true" | "false" => "a boolean",
        "dict" | "typed-uuid" | "typed-bad" | "typed-unknown" => "an object",
        _ => "a number",
    }
}
