//! The accept loop: limits on what a client may take its time for, and a graceful end.

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
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::access::AccessLog;
use super::answer::{error, unavailable};
use super::connections::{Connection, Connections};
use crate::shutdown::Shutdown;

/// How long accepting pauses when the system has no more file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Holds the longest request line that hyper reads (64 KiB; it answers 414 to a longer one) and the
/// longest headers.
const READ_BUFFER: usize = 128 * 1024;

/// The share of the process's file descriptors that the connections of one listener may take: programs have up to three
/// listeners, and connections of their own.
const SHARE_OF_DESCRIPTORS: usize = 4;

/// What clients may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; fewer where the process may not open four times as many files. When there are as many, a new
    /// one takes the place of the one that has been without a request for longest (half a second at least); when all
    /// have one, it is accepted later.
    pub connections: usize,
    /// From the first moment of waiting for a request to the end of its headers; so an idle
    /// connection is closed after this time, too.
    pub header_read: Duration,
    /// All header lines together, in bytes; more is answered with 431.
    pub header_bytes: usize,
    /// For a handler to answer; 503 after that.
    pub request: Duration,
    /// For the client to take an answer; the connection is closed after that.
    pub answer_write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(15),
            header_bytes: 64 * 1024,
            connections: 2048,
            request: Duration::from_secs(30),
            answer_write: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Raises the process's limit of open files where it may, and says how many connections fit into it.
    fn connections(&self) -> usize {
        let wanted = u64::try_from(self.connections * SHARE_OF_DESCRIPTORS).unwrap_or(u64::MAX);
        let limit = getrlimit(Resource::Nofile);
        let Some(mut files) = limit.current.filter(|current| *current < wanted) else {
            return self.connections;
        };
        let raised = Rlimit {
            current: Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted))),
            ..limit
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => files = raised.current.unwrap_or(wanted),
            Err(error) => debug!("the limit of open files stays at {files}: {error}"),
        }
        let fitting = usize::try_from(files).unwrap_or(usize::MAX) / SHARE_OF_DESCRIPTORS;
        self.connections.min(fitting).max(1)
    }

    /// How long a connection may be without a request.
    fn waiting(&self) -> Duration {
        self.header_read + self.answer_write
    }
}

/// Serves HTTP/1 until a warm shutdown, then lets running requests finish within the drain limit.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: Shutdown) {
    serve_logging(listener, router, limits, AccessLog::default(), shutdown).await;
}

/// As [`serve`], with an access line for each request, unless they are off.
pub async fn serve_logging(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    access_log: AccessLog,
    shutdown: Shutdown,
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
        () = shutdown.drain_limit() => warn!("left with requests still running"),
    }
}

/// What a client is answered by.
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
                    debug!("TCP_NODELAY not set: {error}");
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
    shutdown: Shutdown,
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
            unavailable("there was no answer in time, try again")
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
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::{Notify, Semaphore};

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

    /// Slow headers on every connection there may be; a request on one more is answered all the same.
    #[tokio::test]
    async fn clients_that_never_finish_their_headers_do_not_keep_others_out() {
        let limits = Limits {
            connections: 8,
            ..Limits::default()
        };
        let router = Router::new().route("/", get(async || "here"));
        let (address, _server) = start(router, limits, &Shutdown::manual()).await;
        let mut slow = Vec::new();
        for _ in 0..3 * limits.connections {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
            slow.push(stream);
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        assert!(read_to_end(&mut stream).await.ends_with("here"));
    }

    /// While all connections have a request, one more waits; it is served when one of them is.
    #[tokio::test]
    async fn more_requests_than_connections_wait_for_their_turn() {
        let limits = Limits {
            connections: 2,
            ..Limits::default()
        };
        let (entered, proceed) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (in_handler, go_on) = (entered.clone(), proceed.clone());
        let slow = async move || {
            in_handler.add_permits(1);
            go_on.acquire().await.unwrap().forget();
            "done"
        };
        let router = Router::new().route("/", get(slow));
        let (address, _server) = start(router, limits, &Shutdown::manual()).await;
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            streams.push(stream);
        }
        timeout(BOUND, entered.acquire_many(2))
            .await
            .unwrap()
            .unwrap()
            .forget();
        let third = timeout(Duration::from_millis(200), entered.acquire()).await;
        assert!(third.is_err(), "no more than two requests at a time");
        proceed.add_permits(3);
        for mut stream in streams {
            assert!(read_to_end(&mut stream).await.ends_with("done"));
        }
    }

    #[tokio::test]
    async fn a_handler_that_hangs_is_answered_for() {
        let limits = Limits {
            request: Duration::from_millis(100),
            ..Limits::default()
        };
        let router = Router::new().route("/", get(std::future::pending::<()>));
        let (address, _server) = start(router, limits, &Shutdown::manual()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after"),
            "{answer}"
        );
    }

    /// A client that reads nothing: its answers fill the buffers between, and then the connection ends.
    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_not_kept() {
        let limits = Limits {
            header_read: Duration::from_millis(100),
            answer_write: Duration::from_millis(100),
            ..Limits::default()
        };
        let large = async || vec![b'x'; 64 << 20];
        let shutdown = Shutdown::manual();
        let (address, mut server) = start(Router::new().route("/", get(large)), limits, &shutdown).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        stream.readable().await.unwrap();
        shutdown.warm.cancel();
        let ended = timeout(Duration::from_secs(5), server.join_next()).await;
        assert!(ended.is_ok(), "the server does not wait for the client");
    }
}
