//! A service's one resource: its paths, its methods, and the answers
//! to all other requests.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};

use super::answer::{error, permanent_redirect};
use super::target::{Resolved, Target};

/// The methods of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// The value of `Allow`: names in capitals separated by `", "`, with OPTIONS.
    pub allow: &'static str,
}

impl Resource {
    /// Returns what a request asks for: the method in capitals, and the result of `route` for the path.
    ///
    /// # Errors
    ///
    /// The answer to a request that does not match the resource: 404, 405, 308 to a path without
    /// repeated slashes, 200 to OPTIONS.
    pub fn asked<T>(
        &self,
        request: &Parts,
        route: impl Fn(&[&str]) -> Option<T>,
    ) -> Result<(&'static str, T), Box<Response<Body>>> {
        let resolved = Target::new(&request.uri).resolve(route);
        if matches!(resolved, Resolved::NotFound) {
            return Err(Box::new(error(StatusCode::NOT_FOUND, "not found")));
        }
        let Some(method) = self.method(&request.method) else {
            let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
            answer
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(self.allow));
            return Err(Box::new(answer));
        };
        match resolved {
            Resolved::Redirect(location) => Err(Box::new(permanent_redirect(request, &location))),
            Resolved::Found(_) if method == "OPTIONS" => {
                let mut answer = Response::new(Body::empty());
                let html = HeaderValue::from_static("text/html; charset=utf-8");
                answer.headers_mut().insert(header::CONTENT_TYPE, html);
                answer
                    .headers_mut()
                    .insert(header::ALLOW, HeaderValue::from_static(self.allow));
                Err(Box::new(answer))
            }
            Resolved::Found(found) => Ok((method, found)),
            Resolved::NotFound => Err(Box::new(error(StatusCode::NOT_FOUND, "not found"))),
        }
    }

    /// Looks up a method. Names match in any case, as in Flask.
    fn method(self, method: &Method) -> Option<&'static str> {
        self.allow
            .split(", ")
            .find(|name| name.eq_ignore_ascii_case(method.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use http_body_util::BodyExt as _;

    const DOOR: Resource = Resource {
        allow: "GET, OPTIONS, PUT",
    };

    async fn ask(method: &str, target: &str) -> String {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("Host", "h:80");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let route = |segments: &[&str]| match segments {
            ["door", number] => number.parse::<u8>().ok(),
            _ => None,
        };
        let answer = match DOOR.asked(&parts, route) {
            Ok((method, number)) => return format!("{method} {number}"),
            Err(answer) => answer,
        };
        let (head, body) = answer.into_parts();
        let mut text = head.status.as_u16().to_string();
        for name in [header::ALLOW, header::LOCATION] {
            if let Some(value) = head.headers.get(&name) {
                text = format!("{text} {name}: {}", value.to_str().unwrap());
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        format!("{text} {}", std::str::from_utf8(&body).unwrap())
    }

    #[tokio::test]
    async fn a_request_that_matches() {
        assert_eq!(ask("GET", "/door/7").await, "GET 7");
        assert_eq!(ask("pUt", "//door/7").await, "PUT 7");
    }

    #[tokio::test]
    async fn everything_else() {
        let wrong_method = "405 allow: GET, OPTIONS, PUT {\"error\":\"method not allowed\"}\n";
        assert_eq!(ask("PATCH", "/door/7").await, wrong_method);
        assert_eq!(ask("PATCH", "/door//7").await, wrong_method);
        assert_eq!(ask("PATCH", "/door/x").await, "404 {\"error\":\"not found\"}\n");
        assert_eq!(ask("OPTIONS", "/door/7").await, "200 allow: GET, OPTIONS, PUT ");
        let moved = ask("OPTIONS", "/door//7?a=b&c").await;
        assert!(
            moved.starts_with("308 location: http://h/door/7?a=b&c <!doctype html>"),
            "{moved}"
        );
    }
}
