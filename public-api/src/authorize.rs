//! The resource `authorize`: puts a request to charge on the task queue and acknowledges it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use celery_protocol::{Sender, TaskCall, Text, Value};
use explain::explain;
use jiff::Timestamp;
use service_kit::http::{self, Resource};
use uuid::Uuid;

use crate::callback_url;
use crate::path::{Driver, driver};
use crate::task_queue::TaskQueue;

const AUTHORIZE: Resource = Resource {
    allow: "GET, HEAD, OPTIONS, POST",
};

/// The name of the task, the same for every worker.
const TASK: &str = "authorization_worker.tasks.authorize";

/// The longest token, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The way in which requests to charge are enqueued.
#[derive(Debug)]
pub struct Authorize<Q> {
    /// The queue to put them on.
    pub queue: Q,
    /// The sender named in the message headers.
    pub sender: Sender,
    /// How long after its acceptance a request may still be answered with a verdict.
    pub timeout: Duration,
}

/// Returns the service's routes.
pub fn router<Q: TaskQueue>(authorize: Authorize<Q>) -> Router {
    Router::new()
        .fallback(answer::<Q>)
        .with_state(Arc::new(authorize))
}

async fn answer<Q: TaskQueue>(
    State(authorize): State<Arc<Authorize<Q>>>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let (method, driver) = match AUTHORIZE.asked(&parts, driver) {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    if driver.token.len() > LONGEST_TOKEN {
        return http::error(StatusCode::URI_TOO_LONG, "the driver token is longer than 16 KiB");
    }
    let callback_url = match callback_url::read(&parts, body).await {
        Ok(callback_url) => callback_url,
        Err(none) => return none.answer(),
    };
    let accepted = if method == "HEAD" {
        authorize.queue.is_ready()
    } else {
        authorize.enqueue(driver, callback_url, Timestamp::now()).await
    };
    if !accepted {
        return http::unavailable("The request could not be enqueued; try again");
    }
    http::json(
        StatusCode::OK,
        &serde_json::json!({
            "message": "Request is being processed asynchronously. The result will be sent to the provided callback URL.",
            "status": "accepted",
        }),
    )
}

impl<Q: TaskQueue> Authorize<Q> {
    /// Enqueues the request. Returns whether the queue holds it.
    async fn enqueue(&self, Driver { station, token }: Driver, callback_url: Text, now: Timestamp) -> bool {
        let id = Uuid::new_v4();
        let mut call = TaskCall::new(TASK, id.to_string(), &self.sender);
        call.args = vec![
            Value::Uuid(station),
            Value::Text(token.into()),
            Value::Text(callback_url),
            Value::Int(expiry(now, self.timeout)),
        ];
        call.ignore_result = Some(true);
        match self.queue.put(call).await {
            Ok(()) => true,
            Err(unavailable) => {
                // The queue itself logs when it becomes unavailable and when it is back.
                let why = explain(&unavailable);
                tracing::debug!(task.id = %id, station.id = %station, "request {id} was not accepted: {why}");
                false
            }
        }
    }
}

/// Returns the end of the time for a verdict, in nanoseconds since 1970.
fn expiry(now: Timestamp, timeout: Duration) -> i64 {
    let timeout = i128::try_from(timeout.as_nanos()).unwrap_or(i128::MAX);
    i64::try_from(now.as_nanosecond().saturating_add(timeout)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_expires_in_whole_nanoseconds() {
        let now = Timestamp::from_nanosecond(1_795_346_136_809_199_617).unwrap();
        assert_eq!(expiry(now, Duration::from_secs(5)), 1_795_346_141_809_199_617);
        assert_eq!(expiry(now, Duration::MAX), i64::MAX);
    }
}
