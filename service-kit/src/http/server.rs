//! The accept loop: limits on what a client may delay, and a graceful shutdown.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::ZonedDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::access::AccessLog;
use super::answer::{error, unavailable};
use super::connections::{Connection, Connections};
use super::limits::Limits;
use crate::shutdown::GracefulShutdown;

/// The pause in accepting when the system is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The size of the read buffer, in bytes. It holds the longest request line that hyper reads (64 KiB; a longer one is
/// answered with 414) and the longest headers.
const READ_BUFFER: usize = 128 * 1024;

/// Serves HTTP/1 until a warm shutdown, then lets running requests finish within the drain limit.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: GracefulShutdown) {
    serve_logging(listener, router, limits, AccessLog::default(), shutdown).await;
}

/// Like [`serve`], with an access line for each request, unless the access log is off.
pub async fn serve_logging(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    access_log: AccessLog,
    shutdown: GracefulShutdown,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_buf_size(READ_BUFFER.max(limits.header_bytes))
        .half_close(true);
    let open = Connections::new(limits.connections());
    let mut conversations = JoinSet::new();
    loop {
        let accepted = async {
            open.room().await;
            accept(&listener).await
        };
        tokio::select! {
            () = shutdown.warm.cancelled() => break,
            Some(_) = conversations.join_next() => {}
            (stream, client) = accepted => {
                let connection = Arc::new(open.enter());
                let answers = Answers { client, router: router.clone(), limits, access_log };
                conversations.spawn(converse(http.clone(), stream, connection, answers, shutdown.clone()));
            }
        }
    }
    drop(listener);
    let drained = async { while conversations.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = shutdown.drain_limit() => warn!("exiting with requests still running"),
    }
}

/// Everything needed to answer a client.
#[derive(Clone)]
struct Answers {
    client: SocketAddr,
    router: Router,
    limits: Limits,
    access_log: AccessLog,
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                // A small answer must not wait for the client's delayed acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    debug!("cannot set TCP_NODELAY: {error}");
                }
                return (stream, client);
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
    connection: Arc<Connection>,
    answers: Answers,
    shutdown: GracefulShutdown,
) {
    let longest_wait = answers.limits.waiting();
    let answered = Arc::clone(&connection);
    let service = service_fn(move |request| {
        let (connection, answers) = (Arc::clone(&answered), answers.clone());
        async move {
            connection.busy();
            let response = answers.answer(request).await;
            connection.wait();
            Ok::<_, Infallible>(response)
        }
    });
    let mut conversation = pin!(http.serve_connection(TokioIo::new(stream), service));
    let served = async {
        tokio::select! {
            outcome = &mut conversation => outcome,
            () = shutdown.warm.cancelled() => {
                conversation.as_mut().graceful_shutdown();
                conversation.await
            }
        }
    };
    tokio::select! {
        outcome = served => {
            if let Err(error) = outcome {
                debug!("connection ended early: {error}");
            }
        }
        why = connection.must_end(longest_wait) => debug!("connection closed: {why}"),
    }
}

impl Answers {
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let line = self
            .access_log
            .begin(self.client, request.method(), request.uri(), request.version());
        let response = answer(self.router, request, self.limits).await;
        if let Some(line) = line {
            line.end(response.status(), &ZonedDateTime::now());
        }
        response
    }
}

async fn answer(router: Router, request: Request<Incoming>, limits: Limits) -> Response<Body> {
    if size(request.headers()) > limits.header_bytes {
        return error(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the headers are too long",
        );
    }
    match timeout(limits.request, router.oneshot(request)).await {
        Ok(Ok(response)) => response,
        Err(_too_late) => {
            warn!("no answer within {} s", limits.request.as_secs());
            unavailable("there was no answer in time; try again")
        }
    }
}

fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests;
