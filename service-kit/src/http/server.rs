//! The accept loop: limits on what a client may take its time for, and a graceful end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::answer::error;
use crate::shutdown::Shutdown;

/// How long accepting pauses when the system has no more file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Holds the longest request line that hyper reads (64 KiB; it answers 414 to a longer one) and the
/// longest headers.
const READ_BUFFER: usize = 128 * 1024;

/// What a client may cost before its request reaches a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the first moment of waiting for a request to the end of its headers; so an idle
    /// connection is closed after this time, too.
    pub header_read: Duration,
    /// All header lines together, in bytes; more is answered with 431.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(15),
            header_bytes: 64 * 1024,
        }
    }
}

/// Serves HTTP/1 until a warm shutdown, then lets running requests finish within the drain limit.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: Shutdown) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_buf_size(READ_BUFFER.max(limits.header_bytes))
        .half_close(true);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.warm.cancelled() => break,
            Some(_) = connections.join_next() => {}
            stream = accept(&listener) => {
                connections.spawn(converse(http.clone(), stream, router.clone(), limits, shutdown.clone()));
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = shutdown.drain_limit() => warn!("left with requests still running"),
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A small answer must not wait for the client's delayed acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    debug!("TCP_NODELAY not set: {error}");
                }
                return stream;
            }
            Err(error) if ended_before_accepted(&error) => {}
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn ended_before_accepted(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn converse(
    http: http1::Builder,
    stream: TcpStream,
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
) {
    let service = service_fn(move |request| answer(router.clone(), request, limits));
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = shutdown.warm.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        debug!("connection ended early: {error}");
    }
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    limits: Limits,
) -> Result<Response<Body>, Infallible> {
    if size(request.headers()) > limits.header_bytes {
        return Ok(error(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the headers are too long",
        ));
    }
    router.oneshot(request).await
}

fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;
    use tokio::time::timeout;

    const BOUND: Duration = Duration::from_secs(10);

    async fn start(router: Router, limits: Limits, shutdown: &Shutdown) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router, limits, shutdown.clone()));
        (address, server)
    }

    async fn read_to_end(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        timeout(BOUND, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_warm_shutdown_finishes_what_is_running_and_takes_nothing_new() {
        let (entered, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (in_handler, go_on) = (entered.clone(), proceed.clone());
        let slow = async move || {
            in_handler.notify_one();
            go_on.notified().await;
            "done"
        };
        let router = Router::new().route("/", get(slow));
        let shutdown = Shutdown::manual();
        let (address, mut server) = start(router, Limits::default(), &shutdown).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut running = TcpStream::connect(address).await.unwrap();
        running
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        timeout(BOUND, entered.notified()).await.unwrap();

        shutdown.warm.cancel();
        assert_eq!(read_to_end(&mut idle).await, "");
        proceed.notify_one();
        let answer = read_to_end(&mut running).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"),
            "{answer}"
        );
        timeout(BOUND, server.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_cold_shutdown_leaves_with_a_request_running() {
        let entered = Arc::new(Notify::new());
        let in_handler = entered.clone();
        let stuck = async move || {
            in_handler.notify_one();
            std::future::pending::<()>().await;
        };
        let shutdown = Shutdown::manual();
        let (address, mut server) =
            start(Router::new().route("/", get(stuck)), Limits::default(), &shutdown).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        timeout(BOUND, entered.notified()).await.unwrap();
        shutdown.warm.cancel();
        shutdown.cold.cancel();
        timeout(BOUND, server.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn headers_that_never_end_are_not_waited_for() {
        let limits = Limits {
            header_read: Duration::from_millis(100),
            ..Limits::default()
        };
        let (address, _server) = start(Router::new(), limits, &Shutdown::manual()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        assert_eq!(read_to_end(&mut stream).await, "");
    }

    #[tokio::test]
    async fn headers_beyond_the_limit_are_answered_with_431() {
        let limits = Limits {
            header_bytes: 16 * 1024,
            ..Limits::default()
        };
        let (address, _server) = start(Router::new(), limits, &Shutdown::manual()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let long = "x".repeat(16 * 1024);
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nLong: {long}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn a_client_that_closes_its_half_still_gets_its_answer() {
        let router = Router::new().route("/", get(async || "here"));
        let (address, _server) = start(router, Limits::default(), &Shutdown::manual()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        assert!(read_to_end(&mut stream).await.ends_with("here"));
    }
}
