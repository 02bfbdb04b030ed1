//! Health for operators, on a separate address: `/livez` (the process answers) and `/readyz`
//! (it can do its work).

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use crate::background::Background;
use crate::env::{Reader, Variable};
use crate::http::{self, BindError, Limits, ListenAddress};
use crate::readiness::Readiness;
use crate::shutdown::GracefulShutdown;

/// The address that serves health.
pub const ADMIN_ADDRESS: Variable = Variable {
    name: "ADMIN_ADDRESS",
    default: None,
    meaning: "host:port on which to serve /livez and /readyz; off if unset",
};

/// Reads [`ADMIN_ADDRESS`].
pub fn read_address(reader: &mut Reader<'_>) -> Option<ListenAddress> {
    reader.parse_optional(&ADMIN_ADDRESS, "host:port, such as 127.0.0.1:9100")
}

/// Serves health at `address`, if there is one, for as long as `background` lasts, that is, until the
/// end of a shutdown. A program that is shutting down is not ready.
///
/// # Errors
///
/// If it cannot listen on the address.
pub async fn start(
    address: Option<&ListenAddress>,
    readiness: &Readiness,
    shutdown: &GracefulShutdown,
    background: &mut Background,
) -> Result<(), BindError> {
    let Some(address) = address else { return Ok(()) };
    let listener = address.bind().await?;
    tracing::info!("health on http://{address}/livez and /readyz");
    background.spawn(
        "the health server",
        http::serve(
            listener,
            router(readiness.clone()),
            Limits::default(),
            GracefulShutdown::manual(),
        ),
    );
    let process = readiness.part("process");
    process.ready();
    let warm = shutdown.warm.clone();
    background.spawn("the readiness task", async move {
        warm.cancelled().await;
        process.not_ready("shutting down");
        std::future::pending::<()>().await;
    });
    Ok(())
}

/// Returns the routes `/livez` and `/readyz`.
pub fn router(readiness: Readiness) -> Router {
    Router::new()
        .route(
            "/livez",
            get(|| async { http::json(StatusCode::OK, &serde_json::json!({ "live": true })) }),
        )
        .route("/readyz", get(readyz))
        .fallback(|| async { http::error(StatusCode::NOT_FOUND, "not found") })
        .with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        http::json(StatusCode::OK, &serde_json::json!({ "ready": true }))
    } else {
        let body = serde_json::json!({ "ready": false, "not_ready": missing });
        http::json(StatusCode::SERVICE_UNAVAILABLE, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    async fn ask(readiness: &Readiness, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(readiness.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn live_always_and_ready_when_every_part_is() {
        let readiness = Readiness::new();
        let broker = readiness.part("broker");
        let redis = readiness.part("redis");
        let live = (200, "{\"live\":true}\n".to_owned());
        assert_eq!(ask(&readiness, "/livez").await, live);
        assert!(redis.ready());
        let starting = "{\"not_ready\":{\"broker\":\"starting\"},\"ready\":false}\n";
        assert_eq!(ask(&readiness, "/readyz").await, (503, starting.to_owned()));

        assert!(broker.ready());
        assert_eq!(
            ask(&readiness, "/readyz").await,
            (200, "{\"ready\":true}\n".to_owned())
        );
        assert!(redis.not_ready("connection refused"));
        let down = "{\"not_ready\":{\"redis\":\"connection refused\"},\"ready\":false}\n";
        assert_eq!(ask(&readiness, "/readyz").await, (503, down.to_owned()));
        assert_eq!(ask(&readiness, "/livez").await, live);
        assert_eq!(ask(&readiness, "/metrics").await.0, 404);
    }
}
