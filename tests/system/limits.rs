//! Slow and idle clients do not keep others out, even if a process may open only a few files.

use std::time::Duration;

use harness::{Broker, Process, Redis, Service, eventually, free_port, http};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use uuid::Uuid;

use crate::load::TOKEN;

/// The number of files that the services may open. Clients may use a quarter of them.
const FILES: usize = 256;

/// More clients than the number of files that the services may open.
const CLIENTS: usize = 300;

/// Enough clients for their memory to be worth giving back.
const AT_ONCE: usize = 600;

/// The usual fluctuation of memory, in KiB, while nothing happens.
const A_LITTLE: usize = 300;

/// A generous limit for events that may be slow on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

async fn with_few_files(program: &str, variables: &[(&str, &str)]) -> Service {
    let port = free_port();
    let port_text = port.to_string();
    let mut variables = variables.to_vec();
    variables.push(("FLASK_RUN_PORT", &port_text));
    let script = format!("ulimit -n {FILES}; exec \"$0\"");
    let process = Process::spawn("/bin/sh", ["-c", &script, program], variables);
    Service::start(process, port).await
}

/// Connects clients that begin a request and never finish it.
async fn slow_clients(service: &Service, count: usize, begin: &str) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let address = ("127.0.0.1", service.port);
        let mut client = TcpStream::connect(address).await.expect("a connection");
        // Writing fails if the connection has already been closed.
        let _closed = client.write_all(begin.as_bytes()).await;
        clients.push(client);
    }
    clients
}

async fn serves_others(service: &Service, path: &str) {
    let started = Instant::now();
    for _ in 0..5 {
        let answer = http::get(&format!("{}{path}", service.url())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // Slow clients give way after half a second each. A service that waited for them would wait the fifteen
    // seconds that headers may take.
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let files = service.process.open_files();
    assert!(files < FILES / 2, "{files} files are open");
    let log = service.process.lines().join("\n");
    assert!(!log.contains("cannot accept"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_do_not_hold_a_service() {
    let vhost = Broker::shared().await.vhost("limits").await;
    let redis = Redis::start().await;
    let redis_port = redis.port().to_string();
    let api = with_few_files(
        env!("CARGO_BIN_EXE_test-public-api"),
        &[("BROKER_URL", &vhost.amqp_url())],
    )
    .await;
    let acl = with_few_files(
        env!("CARGO_BIN_EXE_test-acl-service"),
        &[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &redis_port)],
    )
    .await;
    let station = Uuid::new_v4();
    let authorize = format!("/station/{station}/driver/{TOKEN}/authorize?callback_url=http://127.0.0.1:9/");
    let permission = format!("/station/{station}/driver/{TOKEN}/acl");
    for (service, path) in [(&api, &authorize), (&acl, &permission)] {
        let _slow = slow_clients(
            service,
            CLIENTS,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nSlow: "),
        )
        .await;
        serves_others(service, path).await;
    }
}

/// Each client takes some KiB while its headers arrive, like a request that waits for a silent broker. The
/// first round also includes what the program allocates once and for all, so the second round measures only
/// the clients. glibc's allocator keeps nine tenths of the first and half of the second.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_many_clients_at_once_is_given_back() {
    let port = free_port();
    let port_text = port.to_string();
    let no_broker = format!("amqp://127.0.0.1:{}//", free_port());
    let variables = [
        ("FLASK_RUN_PORT", port_text.as_str()),
        ("BROKER_URL", &no_broker),
        // These make the result independent of the machine's number of cores and its huge page policy.
        ("TOKIO_WORKER_THREADS", "2"),
        ("_RJEM_MALLOC_CONF", "thp:never"),
    ];
    let process = Process::spawn(env!("CARGO_BIN_EXE_test-public-api"), [""; 0], variables);
    let service = Service::start(process, port).await;
    for (share, part) in [("half", 2), ("four fifths", 5)] {
        let before = settled_memory(&service).await;
        let clients = slow_clients(&service, AT_ONCE, "GET / HTTP/1.1\r\nHost: x\r\nSlow: ").await;
        let peak = eventually("a connection of each", PATIENCE, || async {
            let peak = service.process.anonymous_memory();
            if service.process.open_files() > AT_ONCE && peak > before + 4 * AT_ONCE {
                Ok(peak)
            } else {
                Err(format!("{before} KiB before, {peak} now"))
            }
        })
        .await;
        drop(clients);
        eventually(format!("{share} of it given back"), PATIENCE, || async {
            let kept = service.process.anonymous_memory().saturating_sub(before);
            if kept < (peak - before) / part {
                Ok(())
            } else {
                Err(format!("{before} KiB before, {peak} at the peak, {kept} kept"))
            }
        })
        .await;
    }
}

/// Waits until memory has stopped changing for a while. Unused memory is given back gradually within ten
/// seconds.
async fn settled_memory(service: &Service) -> usize {
    const A_WHILE: Duration = Duration::from_secs(5);
    let (mut last, mut since) = (service.process.anonymous_memory(), Instant::now());
    while since.elapsed() < A_WHILE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = service.process.anonymous_memory();
        if now.abs_diff(last) > A_LITTLE {
            (last, since) = (now, Instant::now());
        }
    }
    last
}
