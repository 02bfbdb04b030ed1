//! JSON answers, written as Flask writes them: compact, with a line feed at the end.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// An answer with a JSON body.
pub fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer that says what is wrong: `{"error": "…"}`.
pub fn error(status: StatusCode, message: &str) -> Response<Body> {
    json(status, &serde_json::json!({ "error": message }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn errors_are_json() {
        let response = error(StatusCode::NOT_FOUND, "no \"such\" path");
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "{\"error\":\"no \\\"such\\\" path\"}\n");
    }
}
