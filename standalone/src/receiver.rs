//! A callback receiver, for users who do not have one.

use std::fmt;
use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use service_kit::http::{self, Limits, ListenAddress};
use service_kit::shutdown::GracefulShutdown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The maximum size of a callback that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// The maximum number of callbacks that wait to be read.
const WAITING: usize = 64;

/// A server that answers every request with 200 and passes it to [`Receiver::next`]. It stops when dropped.
pub(crate) struct Receiver {
    /// The address on which it listens.
    pub(crate) address: SocketAddr,
    callbacks: mpsc::Receiver<Callback>,
    _server: JoinSet<()>,
}

/// A request as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Callback {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: String,
}

impl Receiver {
    pub(crate) async fn start(at: &ListenAddress) -> anyhow::Result<Self> {
        let listener = at.bind().await?;
        let address = listener.local_addr()?;
        let (sender, callbacks) = mpsc::channel(WAITING);
        let router = Router::new().fallback(receive).with_state(sender);
        let mut server = JoinSet::new();
        server.spawn(http::serve(
            listener,
            router,
            Limits::default(),
            GracefulShutdown::manual(),
        ));
        Ok(Self {
            address,
            callbacks,
            _server: server,
        })
    }

    /// Waits for the next callback.
    ///
    /// # Errors
    ///
    /// If the receiver has stopped.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Callback> {
        let callback = self.callbacks.recv().await;
        callback.context("the receiver has stopped")
    }
}

async fn receive(State(sender): State<mpsc::Sender<Callback>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let Ok(body) = body::to_bytes(body, BODY_LIMIT).await else {
        return http::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too long or was cut short",
        );
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let callback = Callback {
        method: parts.method.to_string(),
        target,
        body,
    };
    if sender.send(callback).await.is_err() {
        return http::unavailable("the receiver has stopped");
    }
    http::json(StatusCode::OK, &serde_json::json!({ "message": "received" }))
}

impl fmt::Display for Callback {
    /// Writes one line. Control characters are escaped, because the text comes from callers and is shown on a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| {
            if c.is_control() {
                c.escape_unicode().to_string()
            } else {
                c.to_string()
            }
        };
        let body: String = self.body.chars().map(plain).collect();
        write!(f, "{} {} {body}", self.method, self.target)
    }
}
