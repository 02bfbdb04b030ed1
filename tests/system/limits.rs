//! Slow and idle clients do not keep others out, even where a process may open few files.

use std::time::Duration;

use harness::{Broker, Process, Redis, Service, eventually, free_port, http};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use uuid::Uuid;

use crate::load::TOKEN;

/// As many files as the services may open. A quarter of them are for clients.
const FILES: usize = 256;

/// More clients than that.
const CLIENTS: usize = 300;

async fn with_few_files(program: &str, variables: &[(&str, &str)]) -> Service {
    let port = free_port();
    let port_text = port.to_string();
    let mut variables = variables.to_vec();
    variables.push(("FLASK_RUN_PORT", &port_text));
    let script = format!("ulimit -n {FILES}; exec \"$0\"");
    let process = Process::spawn("/bin/sh", ["-c", &script, program], variables);
    Service::start(process, port).await
}

/// Clients that begin a request and never go on.
async fn slow_clients(service: &Service, count: usize, begin: &str) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let address = ("127.0.0.1", service.port);
        let mut client = TcpStream::connect(address).await.expect("a connection");
        // One that has been closed already takes no more.
        let _closed = client.write_all(begin.as_bytes()).await;
        clients.push(client);
    }
    clients
}

async fn serves_others(service: &Service, path: &str) {
    let started = Instant::now();
    for _ in 0..20 {
        let answer = http::get(&format!("{}{path}", service.url())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
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

/// Each takes some KiB while its headers come, as requests do that wait for a broker that is silent.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_many_clients_at_once_is_given_back() {
    const AT_ONCE: usize = 600;
    let port = free_port();
    let variables = [("FLASK_RUN_PORT", port.to_string())];
    let process = Process::spawn(env!("CARGO_BIN_EXE_test-public-api"), [""; 0], variables);
    let service = Service::start(process, port).await;
    let before = service.process.resident_memory();
    let clients = slow_clients(&service, AT_ONCE, "GET / HTTP/1.1\r\nHost: x\r\nSlow: ").await;
    let peak = eventually("a connection of each", Duration::from_secs(20), || async {
        let peak = service.process.resident_memory();
        if service.process.open_files() > AT_ONCE && peak > before + 4 * AT_ONCE {
            Ok(peak)
        } else {
            Err(peak.to_string())
        }
    })
    .await;
    drop(clients);
    eventually(
        "four fifths of it given back",
        Duration::from_secs(30),
        || async {
            let kept = service.process.resident_memory().saturating_sub(before);
            if kept < (peak - before) / 5 {
                Ok(())
            } else {
                Err(format!("{before} KiB before, {peak} at the peak, {kept} kept"))
            }
        },
    )
    .await;
}
