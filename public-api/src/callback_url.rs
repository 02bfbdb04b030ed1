//! Reads the callback URL of a request: from its JSON body if the content type promises one, else from
//! its query (behaviour 6).

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use celery_protocol::{Text, Value};
use explain::explain;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use service_kit::http::{self, Target};
use tokio::time::timeout;

use crate::json_body::{self, NotJson};

/// The longest URL, in bytes of UTF-8.
const LONGEST_URL: usize = 16 * 1024;

/// The largest JSON body, in bytes.
const LARGEST_BODY: usize = 64 * 1024;

/// The maximum size of a larger body that is still read, so that a client that writes before it reads
/// receives the reason for the refusal.
const LARGEST_DISCARDED_BODY: usize = 2 * 1024 * 1024;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The reason why a request has no callback URL. The texts go to the caller.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCallbackUrl {
    #[error("Missing required parameter: callback_url")]
    Missing,
    #[error("The request body is not JSON: {0}")]
    NotJson(NotJson),
    #[error("The JSON body must be an object with callback_url, not {0}")]
    NotAnObject(&'static str),
    #[error("callback_url must be a string, not {0}")]
    NotAString(&'static str),
    #[error("callback_url is longer than 16 KiB")]
    TooLongInTarget,
    #[error("callback_url is longer than 16 KiB")]
    TooLongInBody,
    #[error("The request body is larger than 64 KiB")]
    BodyTooLarge,
    #[error("The request body took longer than 10 s")]
    BodyTooSlow,
    #[error("The request body ended early")]
    BodyBroken,
}

impl NoCallbackUrl {
    /// Returns the answer to such a request.
    pub(crate) fn answer(&self) -> Response<Body> {
        let status = match self {
            Self::TooLongInTarget => StatusCode::URI_TOO_LONG,
            Self::TooLongInBody | Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        };
        http::error(status, &self.to_string())
    }
}

/// Reads the callback URL. The worker judges whether it is valid.
pub(crate) async fn read(request: &Parts, body: Body) -> Result<Text, NoCallbackUrl> {
    if !promises_json(&request.headers) {
        let url = Target::new(&request.uri)
            .query_value("callback_url")
            .filter(|url| !url.is_empty());
        return match url {
            None => Err(NoCallbackUrl::Missing),
            Some(url) if url.len() > LONGEST_URL => Err(NoCallbackUrl::TooLongInTarget),
            Some(url) => Ok(url.into()),
        };
    }
    let body = timeout(BODY_TIME, collect(body))
        .await
        .map_err(|_| NoCallbackUrl::BodyTooSlow)??;
    let document = json_body::parse(&body).map_err(NoCallbackUrl::NotJson)?;
    let Value::Dict(members) = &document else {
        return Err(NoCallbackUrl::NotAnObject(kind(&document)));
    };
    match members.get("callback_url") {
        None => Err(NoCallbackUrl::Missing),
        Some(value) if is_false(value) => Err(NoCallbackUrl::Missing),
        Some(Value::Text(url)) if url.as_wtf8().len() > LONGEST_URL => Err(NoCallbackUrl::TooLongInBody),
        Some(Value::Text(url)) => Ok(url.clone()),
        Some(value) => Err(NoCallbackUrl::NotAString(kind(value))),
    }
}

/// Flask's `is_json`. Repeated headers count as one, joined by commas, as in WSGI.
fn promises_json(headers: &HeaderMap) -> bool {
    let fields: Vec<&[u8]> = headers
        .get_all(header::CONTENT_TYPE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let content_type = fields.join(&b',');
    let media_type = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let media_type = media_type.trim_ascii().to_ascii_lowercase();
    media_type == b"application/json"
        || media_type.starts_with(b"application/") && media_type.ends_with(b"+json")
}

async fn collect(mut body: Body) -> Result<Vec<u8>, NoCallbackUrl> {
    if body.size_hint().lower() > LARGEST_DISCARDED_BODY as u64 {
        return Err(NoCallbackUrl::BodyTooLarge);
    }
    let mut collected = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!("a request body ended early: {}", explain(&error));
            NoCallbackUrl::BodyBroken
        })?;
        let data = frame.into_data().unwrap_or_else(|_trailers| Bytes::new());
        length += data.len();
        if length > LARGEST_DISCARDED_BODY {
            break;
        }
        if length <= LARGEST_BODY {
            collected.extend_from_slice(&data);
        }
    }
    if length > LARGEST_BODY {
        Err(NoCallbackUrl::BodyTooLarge)
    } else {
        Ok(collected)
    }
}

/// Python's `not value`.
fn is_false(value: &Value) -> bool {
    match value {
        Value::None | Value::Bool(false) | Value::Int(0) => true,
        Value::Float(number) => *number == 0.0,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Dict(members) => members.is_empty(),
        _ => false,
    }
}

/// Returns JSON's name for the type of a value, with its article.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::None => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => "a number",
        Value::Text(_) => "a string",
        Value::List(_) => "an array",
        _ => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn from(content_type: &str, query: &str, body: impl Into<Body>) -> Result<Text, NoCallbackUrl> {
        let request = Request::builder()
            .uri(format!("/?{query}"))
            .header("Content-Type", content_type);
        let (parts, body) = request.body(body.into()).unwrap().into_parts();
        read(&parts, body).await
    }

    #[tokio::test]
    async fn the_content_type_decides_where_to_look() {
        let json = r#"{"callback_url": "from the body"}"#;
        for promising in [
            "application/json",
            "Application/JSON ; charset=x",
            "application/vnd.x+json",
        ] {
            let url = from(promising, "callback_url=from+the+query", json).await;
            assert_eq!(url, Ok(Text::from("from the body")), "{promising}");
        }
        for other in [
            "text/json",
            "application/jsonx",
            "application/json,text/plain",
            "application/x-www-form-urlencoded",
        ] {
            let url = from(other, "callback_url=from+the+query", json).await;
            assert_eq!(url, Ok(Text::from("from the query")), "{other}");
        }
    }

    #[tokio::test]
    async fn the_mistake_is_named() {
        let message = async |body: &str| {
            from("application/json", "", body.to_owned())
                .await
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            message("[]").await,
            "The JSON body must be an object with callback_url, not an array"
        );
        assert_eq!(
            message("null").await,
            "The JSON body must be an object with callback_url, not null"
        );
        assert_eq!(
            message(r#"{"callback_url": 5}"#).await,
            "callback_url must be a string, not a number"
        );
        assert_eq!(
            message(r#"{"callback_url": [0]}"#).await,
            "callback_url must be a string, not an array"
        );
        assert_eq!(
            message(r#"{"callback_url": 0.0}"#).await,
            "Missing required parameter: callback_url"
        );
        assert_eq!(
            message("{").await.split(':').next(),
            Some("The request body is not JSON")
        );
    }

    #[tokio::test]
    async fn a_typed_value_of_celery_is_an_object_like_any_other() {
        let typed = r#"{"__type__": "nosuch", "__value__": 1}"#;
        let beside = format!(r#"{{"callback_url": "u", "x": {typed}}}"#);
        assert_eq!(from("application/json", "", beside).await, Ok(Text::from("u")));
        assert_eq!(
            from("application/json", "", typed).await,
            Err(NoCallbackUrl::Missing)
        );
    }

    #[tokio::test]
    async fn limits() {
        let url = |length: usize| "u".repeat(length);
        let in_query = async |length| from("", &format!("callback_url={}", url(length)), "").await;
        let in_body = async |length| {
            from(
                "application/json",
                "",
                format!("{{\"callback_url\": \"{}\"}}", url(length)),
            )
            .await
        };
        assert_eq!(in_query(LONGEST_URL).await, Ok(Text::from(url(LONGEST_URL))));
        assert_eq!(
            in_query(LONGEST_URL + 1).await,
            Err(NoCallbackUrl::TooLongInTarget)
        );
        assert_eq!(in_body(LONGEST_URL).await, Ok(Text::from(url(LONGEST_URL))));
        assert_eq!(in_body(LONGEST_URL + 1).await, Err(NoCallbackUrl::TooLongInBody));
        let spaces = |length: usize| from("application/json", "", " ".repeat(length));
        assert!(matches!(
            spaces(LARGEST_BODY).await,
            Err(NoCallbackUrl::NotJson(_))
        ));
        assert_eq!(spaces(LARGEST_BODY + 1).await, Err(NoCallbackUrl::BodyTooLarge));
        assert_eq!(
            spaces(LARGEST_DISCARDED_BODY + 1).await,
            Err(NoCallbackUrl::BodyTooLarge)
        );
    }
}
