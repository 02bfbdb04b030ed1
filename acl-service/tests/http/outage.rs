//! Redis is down, silent, frozen or refusing (rows `backend-*` of acl-http.jsonl): our service answers 503 within a
//! second, where Python answers 500 after up to 59 s, and serves again as soon as Redis is back.

use std::time::{Duration, Instant};

use acl_service::RedisAllowList;
use harness::Redis;
use harness::recorded::{self, Answer, STATION};
use service_kit::readiness::Readiness;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::running::Running;

/// Distinguishes our own answer, promised within a second, from waiting for Redis, even on the busiest machine. A unit
/// test with a paused clock checks that the deadline is within the second.
const BOUND: Duration = Duration::from_secs(20);

fn target() -> String {
    format!("/station/{STATION}/driver/validDriverToken-0001/acl")
}

async fn is_unavailable(service: &Running, method: &str) {
    let begin = Instant::now();
    let answer = service.ask(method, &target()).await;
    let took = begin.elapsed();
    let error = serde_json::json!({ "error": "the allow-list is not available; try again" });
    let mut expected = recorded::refusal(503).with_json(Some(503), &error);
    expected.retry_after = Some("1".to_owned());
    if method == "HEAD" {
        expected = expected.without_body();
    }
    assert_eq!(answer, expected, "{method}");
    assert!(took < BOUND, "{method} took {took:?}");
}

async fn is_unavailable_to_all(service: &Running) {
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        is_unavailable(service, method).await;
    }
}

async fn serves(service: &Running) {
    let answer: Answer = service.ask("GET", &target()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (Some(200), "{\"allowed\":false,\"authorized\":false}\n")
    );
}

/// Row backend-refused.
#[tokio::test]
async fn nobody_listens() {
    let free = harness::free_port();
    is_unavailable_to_all(&Running::start("127.0.0.1", free).await).await;
}

/// Row backend-dns.
#[tokio::test]
async fn no_such_host() {
    is_unavailable(&Running::start("redis.invalid", 6379).await, "GET").await;
}

/// `/readyz` reports why there is no connection, within the time limit of an answer.
#[tokio::test]
async fn the_reason_is_reported() {
    let unknown = "the name redis.invalid cannot be resolved: ";
    for (host, port, reason) in [
        ("127.0.0.1", harness::free_port(), "connection refused"),
        ("redis.invalid", 6379, unknown),
    ] {
        let readiness = Readiness::new();
        let (allow_list, part) = (RedisAllowList::new(host, port).unwrap(), readiness.part("redis"));
        let begin = Instant::now();
        let mut watching = JoinSet::new();
        watching.spawn(async move { allow_list.watch(part).await });
        harness::eventually("the reason", BOUND, || async {
            let missing = readiness.missing();
            match missing.get("redis") {
                Some(told) if told.starts_with(reason) => Ok(()),
                _ => Err(format!("{missing:?}")),
            }
        })
        .await;
        assert!(begin.elapsed() < BOUND, "{host}: {:?}", begin.elapsed());
    }
}

/// Row backend-connect-timeout: a full accept queue, so that the system drops new connections.
#[tokio::test]
async fn connecting_takes_for_ever() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "the queue is never full");
    }
    is_unavailable(&Running::start("127.0.0.1", address.port()).await, "GET").await;
}

/// Row backend-silent.
#[tokio::test]
async fn connected_and_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    is_unavailable_to_all(&Running::start("127.0.0.1", port).await).await;
}

/// Row backend-stopped-while-in-use, step by step.
#[tokio::test]
async fn stopped_started_frozen_thawed() {
    let mut redis = Redis::start().await;
    let service = Running::start("127.0.0.1", redis.port()).await;
    serves(&service).await;
    redis.stop().await;
    is_unavailable_to_all(&service).await;
    redis.start_again().await;
    serves(&service).await;
    redis.freeze();
    is_unavailable_to_all(&service).await;
    redis.thaw();
    serves(&service).await;
}

/// A restart between two requests costs no request.
#[tokio::test]
async fn restarted_unseen() {
    let mut redis = Redis::start().await;
    let service = Running::start("127.0.0.1", redis.port()).await;
    for _ in 0..3 {
        serves(&service).await;
        redis.stop().await;
        redis.start_again().await;
    }
    serves(&service).await;
}

/// Rows backend-reply-*: a server that accepts the greeting and refuses every command.
#[tokio::test]
async fn refused_by_redis() {
    let replies = [
        ("backend-reply-noauth", "-NOAUTH Authentication required.\r\n"),
        (
            "backend-reply-loading",
            "-LOADING Redis is loading the dataset in memory\r\n",
        ),
        (
            "backend-reply-readonly",
            "-READONLY You can't write against a read only replica.\r\n",
        ),
        (
            "backend-reply-oom",
            "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        ),
        ("backend-reply-moved", "-MOVED 3999 127.0.0.1:21379\r\n"),
        ("backend-reply-busy", "-BUSY Redis is busy running a script.\r\n"),
        ("backend-reply-garbage", "HTTP/1.1 400 Bad Request\r\n\r\n"),
    ];
    for (case, reply) in replies {
        println!("{case}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        server.spawn(refuse_everything(listener, reply));
        is_unavailable_to_all(&Running::start("127.0.0.1", port).await).await;
    }
}

async fn refuse_everything(listener: TcpListener, reply: &'static str) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        connections.spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                let greetings = buffer[..count]
                    .windows(7)
                    .filter(|window| window == b"SETINFO")
                    .count();
                let answer = if greetings > 0 {
                    "+OK\r\n".repeat(greetings)
                } else {
                    reply.to_owned()
                };
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}
