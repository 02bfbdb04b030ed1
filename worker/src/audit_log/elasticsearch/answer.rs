//! The answers of Elasticsearch, and their meaning for the records.

use std::error::Error;
use std::fmt;

use elasticsearch::http::StatusCode;
use elasticsearch::http::response::{Error as Details, Exception, Response};
use serde::Deserialize;

use crate::audit_log::sink::Fate;

/// The value that the header `X-Elastic-Product` must have in each answer to `GET /`, as in Python's client.
const PRODUCT: &str = "Elasticsearch";

/// Errors that concern the index, which an operator can repair, and not the record.
const ABOUT_THE_INDEX: &[&str] = &[
    "cluster_block_exception",
    "index_closed_exception",
    "index_not_found_exception",
];

/// An exchange that failed. Its text is that of its cause, because the client's own error repeats it.
#[derive(Debug)]
pub(super) struct Exchange(elasticsearch::Error);

impl Exchange {
    fn cause(&self) -> &(dyn Error + 'static) {
        self.0.source().unwrap_or(&self.0)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.cause(), f)
    }
}

impl Error for Exchange {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause().source()
    }
}

/// The reason why a request failed. The texts show neither the password nor the contents of documents.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The connection was refused or broke.
    #[error(transparent)]
    Exchange(Exchange),
    #[error("no answer within 10 s")]
    TimedOut,
    /// The server is not Elasticsearch.
    #[error("the server is not Elasticsearch: it does not send X-Elastic-Product: Elasticsearch")]
    OtherProduct,
    #[error("it rejects the user elastic with the password in ELASTIC_PASSWORD (status 401)")]
    WrongPassword,
    /// The status is not a success.
    #[error("it answers {request} with status {}{}", .status.as_u16(), explained(.kind, .reason))]
    Status {
        request: &'static str,
        status: StatusCode,
        /// Elasticsearch's name for the error; empty if it gives none.
        kind: String,
        reason: String,
    },
    /// The status is a success, but the body is not the expected answer.
    #[error("its answer to _bulk does not report the outcome for each record")]
    Unclear,
}

impl Failure {
    /// Returns whether a request with fewer records might succeed: it is too large, or Elasticsearch finds a mistake in
    /// it.
    pub(super) fn is_about_the_records(&self) -> bool {
        match self {
            Self::Status { status, kind, .. } => match *status {
                StatusCode::PAYLOAD_TOO_LARGE => true,
                StatusCode::BAD_REQUEST => !kind.is_empty(),
                _ => false,
            },
            _ => false,
        }
    }
}

impl From<elasticsearch::Error> for Failure {
    fn from(error: elasticsearch::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Exchange(Exchange(error))
        }
    }
}

/// Returns the response, if it is a success.
pub(super) async fn successful(request: &'static str, response: Response) -> Result<Response, Failure> {
    let status = response.status_code();
    if status.is_success() {
        return Ok(response);
    }
    if status == StatusCode::UNAUTHORIZED {
        return Err(Failure::WrongPassword);
    }
    // A proxy in front of Elasticsearch gives the reason in HTML, or none at all.
    let exception: Option<Exception> = response.json().await.ok();
    let (kind, reason) = exception
        .as_ref()
        .map(|exception| describe(exception.error()))
        .unwrap_or_default();
    Err(Failure::Status {
        request,
        status,
        kind,
        reason,
    })
}

/// Checks that the answer comes from Elasticsearch.
pub(super) fn is_elasticsearch(response: &Response) -> Result<(), Failure> {
    match response.headers().get("x-elastic-product") {
        Some(product) if product == PRODUCT => Ok(()),
        _ => Err(Failure::OtherProduct),
    }
}

/// Returns the outcome for each of these records, from the answer to their `_bulk` request.
pub(super) fn fates(answer: &[u8], records: usize) -> Result<Vec<Fate>, Failure> {
    // The parser's error may quote a document, so it is dropped.
    let answer: Bulk = serde_json::from_slice(answer).map_err(|_| Failure::Unclear)?;
    if answer.items.len() != records {
        return Err(Failure::Unclear);
    }
    Ok(answer.items.into_iter().map(|item| fate(&item.create)).collect())
}

#[derive(Deserialize)]
struct Bulk {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Created,
}

#[derive(Deserialize)]
struct Created {
    status: u16,
    error: Option<Details>,
}

fn fate(created: &Created) -> Fate {
    let (kind, reason) = created.error.as_ref().map(describe).unwrap_or_default();
    let why = || format!("status {}{}", created.status, explained(&kind, &reason));
    match created.status {
        // 409: the document already exists.
        200..=299 | 409 => Fate::Written,
        429 | 500..=599 => Fate::Deferred(why()),
        _ if ABOUT_THE_INDEX.contains(&kind.as_str()) => Fate::Deferred(why()),
        _ => Fate::Refused(why()),
    }
}

/// Returns the name of an error and its reason, without the value of a field, which may be a driver's token.
fn describe(error: &Details) -> (String, String) {
    let reason = error.reason().unwrap_or_default();
    let reason = reason
        .split(" Preview of field's value")
        .next()
        .unwrap_or_default();
    (error.ty().unwrap_or_default().to_owned(), reason.to_owned())
}

/// Returns the text that follows a status: nothing, or the error's name and its reason.
fn explained(kind: &str, reason: &str) -> String {
    match (kind, reason) {
        ("", "") => String::new(),
        (only, "") | ("", only) => format!(": {only}"),
        _ => format!(": {kind}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates_of(answer: &str, records: usize) -> Result<Vec<Fate>, String> {
        fates(answer.as_bytes(), records).map_err(|failure| failure.to_string())
    }

    #[test]
    fn each_item_has_its_own_fate() {
        let answer = r#"{"errors":true,"items":[
            {"create":{"_id":"1","status":201,"result":"created"}},
            {"create":{"_id":"2","status":409,"error":{"type":"version_conflict_engine_exception","reason":"exists"}}},
            {"create":{"_id":"3","status":400,"error":{"type":"document_parsing_exception","reason":
                "[1:9] failed to parse field [driver_token] of type [long] in document with id '3'. Preview of field's value: 'secret'"}}},
            {"create":{"_id":"4","status":429,"error":{"type":"es_rejected_execution_exception","reason":"busy"}}},
            {"create":{"_id":"5","status":503,"error":{"type":"unavailable_shards_exception","reason":"away"}}},
            {"create":{"_id":"6","status":403,"error":{"type":"cluster_block_exception","reason":"read-only"}}},
            {"create":{"_id":"7","status":404,"error":{"type":"index_not_found_exception","reason":"no such index"}}},
            {"create":{"_id":"8","status":403,"error":{"type":"security_exception","reason":"no"}}}
        ]}"#;
        let deferred = |reason: &str| Fate::Deferred(reason.to_owned());
        let refused = |reason: &str| Fate::Refused(reason.to_owned());
        assert_eq!(
            fates_of(answer, 8).unwrap(),
            [
                Fate::Written,
                Fate::Written,
                refused(
                    "status 400: document_parsing_exception: [1:9] failed to parse field [driver_token] of type [long] \
                     in document with id '3'."
                ),
                deferred("status 429: es_rejected_execution_exception: busy"),
                deferred("status 503: unavailable_shards_exception: away"),
                deferred("status 403: cluster_block_exception: read-only"),
                deferred("status 404: index_not_found_exception: no such index"),
                refused("status 403: security_exception: no"),
            ]
        );
    }

    #[test]
    fn an_answer_that_does_not_tell_of_each_record_is_none() {
        for answer in [
            "",
            "hello",
            "{}",
            r#"{"items":[]}"#,
            r#"{"items":[{"index":{"status":201}}]}"#,
            r#"{"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#,
        ] {
            assert!(fates_of(answer, 1).is_err(), "{answer}");
        }
    }

    #[test]
    fn a_request_is_cut_where_its_records_are_to_blame() {
        let failure = |status, kind: &str| Failure::Status {
            request: "POST /",
            status: StatusCode::from_u16(status).unwrap(),
            kind: kind.to_owned(),
            reason: String::new(),
        };
        assert!(failure(413, "").is_about_the_records());
        assert!(failure(400, "action_request_validation_exception").is_about_the_records());
        assert!(!failure(400, "").is_about_the_records());
        assert!(!failure(429, "es_rejected_execution_exception").is_about_the_records());
        assert!(!failure(503, "").is_about_the_records());
        assert!(!Failure::WrongPassword.is_about_the_records());
    }
}
