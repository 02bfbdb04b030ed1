//! The resource `acl`: GET queries a permission, PUT grants it, DELETE revokes it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde_json::json;
use service_kit::http::{self, Resource};
use tokio::time::timeout;

use crate::allow_list::{AllowList, Unavailable};
use crate::path::{Permission, permission};

const ACL: Resource = Resource {
    allow: "DELETE, GET, HEAD, OPTIONS, PUT",
};

/// The longest token, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The time limit for an answer of the allow-list. The worker has 5 s for everything, so it must learn
/// early enough that the store is down.
const DEADLINE: Duration = Duration::from_millis(900);

/// Returns the service's routes on this allow-list.
pub fn router<A: AllowList>(allow_list: Arc<A>) -> Router {
    Router::new().fallback(answer::<A>).with_state(allow_list)
}

async fn answer<A: AllowList>(State(allow_list): State<Arc<A>>, request: Request) -> Response<Body> {
    let (parts, _body) = request.into_parts();
    let (method, permission) = match ACL.asked(&parts, permission) {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    if permission.token.len() > LONGEST_TOKEN {
        return http::error(StatusCode::URI_TOO_LONG, "the driver token is longer than 16 KiB");
    }
    let unavailable = || http::unavailable("the allow-list is not available; try again");
    match timeout(DEADLINE, perform(&*allow_list, method, &permission)).await {
        Ok(Ok(body)) => http::json(StatusCode::OK, &body),
        Err(_) => unavailable(),
        Ok(Err(Unavailable::Down(source))) => {
            // The allow-list itself logs when it becomes unavailable and when it is back.
            tracing::debug!(station.id = %permission.station, "no answer for station {}: {source}", permission.station);
            unavailable()
        }
        Ok(Err(Unavailable::Damaged(source))) => {
            tracing::error!(station.id = %permission.station, "the value stored for station {} is not an allow-list: {source}", permission.station);
            let message = "the value stored for this station is not an allow-list";
            http::error(StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    }
}

async fn perform(
    allow_list: &impl AllowList,
    method: &str,
    Permission { station, token }: &Permission,
) -> Result<serde_json::Value, Unavailable> {
    let body = match method {
        "PUT" => json!({ "num_added": u8::from(allow_list.add(*station, token).await?) }),
        "DELETE" => json!({ "num_removed": u8::from(allow_list.remove(*station, token).await?) }),
        // Python's documentation promises `allowed`; its service answers `authorized`, and its worker reads
        // that.
        _ => {
            let allowed = allow_list.contains(*station, token).await?;
            json!({ "allowed": allowed, "authorized": allowed })
        }
    };
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    /// An allow-list that never answers.
    struct Silent;

    impl AllowList for Silent {
        async fn contains(&self, _: uuid::Uuid, _: &str) -> Result<bool, Unavailable> {
            std::future::pending().await
        }

        async fn add(&self, _: uuid::Uuid, _: &str) -> Result<bool, Unavailable> {
            std::future::pending().await
        }

        async fn remove(&self, _: uuid::Uuid, _: &str) -> Result<bool, Unavailable> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_allow_list_that_is_silent_is_a_503_within_a_second() {
        for method in ["GET", "PUT", "DELETE"] {
            let request = Request::builder()
                .method(method)
                .uri("/station/a0b1c2d3-e4f5-4678-9abc-def012345678/driver/t/acl")
                .body(Body::empty())
                .unwrap();
            let begin = Instant::now();
            let answer = answer(State(Arc::new(Silent)), request).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{method}");
            assert!(begin.elapsed() <= Duration::from_secs(1), "{method}");
        }
    }
}
