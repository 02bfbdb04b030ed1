//! The receiving end of a callback: an HTTP server that records every request byte for byte and answers as
//! instructed.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::eventually::eventually;
use crate::port::listen;
use crate::received::{Received, read_request};
use crate::reply::{Reply, answer};

/// A server on 127.0.0.1 that runs until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<Received>>>,
    _tasks: JoinSet<()>,
}

type Rule = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

impl Receiver {
    /// Starts a receiver that answers according to [`Reply::by_path`].
    pub async fn start() -> Self {
        Self::start_with(Reply::by_path).await
    }

    /// Starts a server that answers according to `rule`, such as a stand-in for the ACL service.
    #[expect(
        clippy::unused_async,
        reason = "it needs the runtime, as the start of every other server here"
    )]
    pub async fn start_with(rule: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST, rule)
    }

    /// Starts such a server on every address of this machine, so that containers can reach it.
    #[expect(
        clippy::unused_async,
        reason = "it needs the runtime, as the start of every other server here"
    )]
    pub async fn start_for_containers() -> Self {
        Self::start_on(Ipv4Addr::UNSPECIFIED, Reply::by_path)
    }

    fn start_on(address: Ipv4Addr, rule: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let (listener, port) = listen(address);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::new(rule), Arc::clone(&requests)));
        Self {
            port,
            requests,
            _tasks: tasks,
        }
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of `path_and_query`, which begins with a slash. The host is an IP address because the services
    /// refuse host names with a single label.
    pub fn url(&self, path_and_query: &str) -> String {
        format!("http://127.0.0.1:{}{path_and_query}", self.port)
    }

    /// All requests so far, in the order in which they were completed.
    pub fn requests(&self) -> Vec<Received> {
        locked(&self.requests).clone()
    }

    /// The number of requests so far.
    pub fn count(&self) -> usize {
        locked(&self.requests).len()
    }

    /// Forgets all requests received so far.
    pub fn clear(&self) {
        locked(&self.requests).clear();
    }

    /// Waits until `count` requests have arrived, and returns all requests so far.
    #[track_caller]
    pub fn wait_for(&self, count: usize, timeout: Duration) -> impl Future<Output = Vec<Received>> {
        eventually(format!("{count} callbacks"), timeout, move || async move {
            let requests = self.requests();
            if requests.len() < count {
                Err(format!("{} callbacks", requests.len()))
            } else {
                Ok(requests)
            }
        })
    }

    /// Waits for the first request whose JSON body names this station.
    #[track_caller]
    pub fn wait_for_station(&self, station: &str, timeout: Duration) -> impl Future<Output = Received> {
        eventually(
            format!("a callback for station {station}"),
            timeout,
            move || async move {
                let seen = self.by_station();
                let found = seen.get(station).and_then(|requests| requests.first()).cloned();
                found.ok_or_else(|| format!("callbacks for {} stations", seen.len()))
            },
        )
    }

    /// All requests with a JSON body, grouped by `station_id`.
    pub fn by_station(&self) -> HashMap<String, Vec<Received>> {
        let mut stations: HashMap<String, Vec<Received>> = HashMap::new();
        for request in self.requests() {
            let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
                continue;
            };
            let station = body["station_id"].as_str().unwrap_or_default().to_owned();
            stations.entry(station).or_default().push(request);
        }
        stations
    }
}

async fn serve(listener: TcpListener, rule: Rule, requests: Arc<Mutex<Vec<Received>>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(converse(stream, Arc::clone(&rule), Arc::clone(&requests)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request after another until either side closes the connection.
async fn converse(stream: TcpStream, rule: Rule, requests: Arc<Mutex<Vec<Received>>>) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = read_request(&mut stream).await {
        let head_only = request.method == "HEAD";
        let reply = rule(&request);
        locked(&requests).push(request);
        if !answer(&mut stream, reply, head_only).await {
            return;
        }
    }
}

fn locked(requests: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}
