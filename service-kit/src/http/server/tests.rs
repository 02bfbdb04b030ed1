//! Limits, shutdown and stalled clients, over real connections.

use super::*;
use axum::routing::get;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, Semaphore};

const BOUND: Duration = Duration::from_secs(10);

async fn start(router: Router, limits: Limits, shutdown: &GracefulShutdown) -> (SocketAddr, JoinSet<()>) {
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
    let shutdown = GracefulShutdown::manual();
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
    let shutdown = GracefulShutdown::manual();
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
    let (address, _server) = start(Router::new(), limits, &GracefulShutdown::manual()).await;
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
    let (address, _server) = start(Router::new(), limits, &GracefulShutdown::manual()).await;
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
    let (address, _server) = start(router, Limits::default(), &GracefulShutdown::manual()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("here"));
}

/// With slow headers on every permitted connection, a request on one more is still answered.
#[tokio::test]
async fn clients_that_never_finish_their_headers_do_not_keep_others_out() {
    let limits = Limits {
        connections: 8,
        ..Limits::default()
    };
    let router = Router::new().route("/", get(async || "here"));
    let (address, _server) = start(router, limits, &GracefulShutdown::manual()).await;
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

/// While all connections have a request, one more waits; it is served when one of them has been answered.
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
    let (address, _server) = start(router, limits, &GracefulShutdown::manual()).await;
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
    let (address, _server) = start(router, limits, &GracefulShutdown::manual()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after"),
        "{answer}"
    );
}

/// If a client reads nothing, its answers fill the buffers in between, and then the connection ends.
#[tokio::test]
async fn an_answer_that_is_not_taken_is_not_kept() {
    let limits = Limits {
        header_read: Duration::from_millis(100),
        answer_write: Duration::from_millis(100),
        ..Limits::default()
    };
    let large = async || vec![b'x'; 64 << 20];
    let shutdown = GracefulShutdown::manual();
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
