//! Answers, written as Flask writes them: compact JSON with a line feed at the end.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// The delay after which a client may retry after a 503, in seconds.
const RETRY_AFTER: &str = "1";

/// Returns an answer with a JSON body.
pub fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let json = HeaderValue::from_static("application/json");
    with_body(status, json, format!("{body}\n"))
}

/// Returns an answer that describes an error: `{"error": "…"}`.
pub fn error(status: StatusCode, message: &str) -> Response<Body> {
    json(status, &serde_json::json!({ "error": message }))
}

/// Returns a 503 with `Retry-After`, for when a dependency is unavailable.
pub fn unavailable(message: &str) -> Response<Body> {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, message);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    response
}

/// Returns a 308 to `location` (path and query) on the requested host, with Werkzeug's page.
pub(super) fn permanent_redirect(request: &Parts, location: &str) -> Response<Body> {
    let host = match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()),
    };
    // Without a host the location is relative, which RFC 9110 allows.
    let location = match host.map(|host| host.strip_suffix(":80").unwrap_or(host)) {
        Some(host) if !host.is_empty() => format!("http://{host}{location}"),
        _ => location.to_owned(),
    };
    let link = escape(&location);
    let page = format!(
        "<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n\
         <p>You should be redirected automatically to the target URL: <a href=\"{link}\">{link}</a>. \
         If not, click the link.\n"
    );
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = with_body(StatusCode::PERMANENT_REDIRECT, html, page);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use http_body_util::BodyExt as _;

    async fn body(response: Response<Body>) -> String {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn errors_are_json() {
        let response = unavailable("no \"such\" luck");
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(body(response).await, "{\"error\":\"no \\\"such\\\" luck\"}\n");
    }

    #[tokio::test]
    async fn a_redirect_leads_to_the_requested_host() {
        let location = |uri: &str, host: Option<&str>| {
            let mut request = Request::builder().uri(uri);
            if let Some(host) = host {
                request = request.header("Host", host);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            permanent_redirect(&parts, "/p?a&b").headers()["location"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(location("/", Some("h.example:81")), "http://h.example:81/p?a&b");
        assert_eq!(location("/", Some("h.example:80")), "http://h.example/p?a&b");
        assert_eq!(
            location("http://other/x", Some("h.example")),
            "http://other/p?a&b"
        );
        assert_eq!(location("/", None), "/p?a&b");

        let (parts, ()) = Request::builder().uri("/").body(()).unwrap().into_parts();
        let page = body(permanent_redirect(&parts, "/p?a&b")).await;
        assert!(page.contains("<a href=\"/p?a&amp;b\">/p?a&amp;b</a>"), "{page}");
    }
}
