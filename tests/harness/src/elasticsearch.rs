//! A private Elasticsearch server behind TLS and basic auth.

mod place;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use crate::eventually::eventually;
use crate::http;
use crate::process::{Process, Signal};

use self::place::Place;

/// Startup usually takes five seconds, but several times as long on a busy machine.
const START: Duration = Duration::from_secs(90);

/// The index of the audit log.
const INDEX: &str = "log.authorize";

/// A genuine Elasticsearch node on the loopback address, behind a TLS proxy that admits only the user `elastic` with
/// [`Elasticsearch::PASSWORD`]. Both end with the test process, however that ends.
///
/// `scripts/setup-elastic` must have run; `make test-elastic` runs it.
#[derive(Debug)]
pub struct Elasticsearch {
    /// The fields are in drop order: the servers first.
    proxy: Option<Process>,
    node: Option<Process>,
    /// Whether the node has the usual settings.
    is_usual: bool,
    place: Place,
}

/// A document of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The document's `_id`.
    pub id: String,
    /// The document's fields.
    pub source: Value,
}

impl Elasticsearch {
    /// The password of the user `elastic`.
    pub const PASSWORD: &str = place::PASSWORD;

    /// The node of this test process, started on first use and lent to one test at a time. It is running, has no index,
    /// and is in the state in which it started.
    pub async fn shared() -> MappedMutexGuard<'static, Self> {
        static SHARED: Mutex<Option<Elasticsearch>> = Mutex::const_new(None);
        let mut shared = SHARED.lock().await;
        match &mut *shared {
            Some(elasticsearch) => elasticsearch.restore().await,
            none => *none = Some(Self::start().await),
        }
        MutexGuard::map(shared, |shared| shared.as_mut().expect("it was started"))
    }

    /// Starts another node, which need not be given back.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts another node with additional settings, such as `indexing_pressure.memory.limit=2kb`: with that one, every
    /// `_bulk` of more than one line is answered with 429.
    pub async fn start_with(settings: &[&str]) -> Self {
        let mut elasticsearch = Self {
            proxy: None,
            node: None,
            is_usual: true,
            place: Place::new(),
        };
        elasticsearch.start_again_with(settings).await;
        elasticsearch
    }

    /// The URL to give to a worker.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.place.tls_port)
    }

    /// The port of the proxy, to which a worker connects.
    pub fn port(&self) -> u16 {
        self.place.tls_port
    }

    /// The address of the node itself, which uses neither TLS nor a password.
    pub fn node_address(&self) -> String {
        format!("127.0.0.1:{}", self.place.http_port)
    }

    /// `ELASTICSEARCH_URL`, `ELASTIC_PASSWORD` and `ELASTICSEARCH_CERTS_PATH` for a worker.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("ELASTICSEARCH_URL", self.url()),
            ("ELASTIC_PASSWORD", Self::PASSWORD.to_owned()),
            ("ELASTICSEARCH_CERTS_PATH", self.ca().display().to_string()),
        ]
    }

    /// The path of the CA that signed the certificate; the certificate does not name the host.
    pub fn ca(&self) -> PathBuf {
        self.place.certificate("ca.crt")
    }

    /// The path of a CA that did not sign the certificate.
    pub fn other_ca(&self) -> PathBuf {
        self.place.certificate("other-ca.crt")
    }

    /// Shuts the node down cleanly. From then on, the proxy answers 502.
    pub async fn stop(&mut self) {
        let node = take(&mut self.node, "the node");
        node.signal(Signal::TERM);
        node.wait_exit(START).await;
    }

    /// Kills the node immediately.
    pub fn kill(&mut self) {
        take(&mut self.node, "the node").kill();
    }

    /// Ends the proxy: from then on, connections are refused.
    pub fn stop_proxy(&mut self) {
        take(&mut self.proxy, "the proxy").kill();
    }

    /// Suspends the node: requests are accepted but not answered.
    pub fn freeze(&self) {
        running(self.node.as_ref()).freeze();
    }

    /// Resumes the node after [`Elasticsearch::freeze`].
    pub fn thaw(&self) {
        running(self.node.as_ref()).thaw();
    }

    /// Starts whatever was stopped or killed, on the same ports and data, and waits until it is ready.
    pub async fn start_again(&mut self) {
        self.start_again_with(&[]).await;
    }

    /// Does the same as [`Elasticsearch::start_again`], with settings, as in [`Elasticsearch::start_with`], which take
    /// effect only if the node was stopped.
    pub async fn start_again_with(&mut self, settings: &[&str]) {
        if self.node.is_none() {
            self.node = Some(self.place.start_node(settings));
            self.is_usual = settings.is_empty();
        }
        if self.proxy.is_none() {
            self.proxy = Some(self.place.start_proxy());
        }
        let node = running(self.node.as_ref());
        let root = format!(
            "http://127.0.0.1:{}/_cluster/health?timeout=1s",
            self.place.http_port
        );
        eventually("Elasticsearch to serve", START, || async {
            assert!(node.try_exit().is_none(), "Elasticsearch ended:\n{}", node.tail());
            let answer = http::try_send("GET", &root, &[], "")
                .await
                .map_err(|error| format!("{error:#}"))?;
            match answer.json()["status"].as_str() {
                Some("green" | "yellow") => Ok(()),
                _ => Err(format!("{answer:?}")),
            }
        })
        .await;
        let proxy = running(self.proxy.as_ref());
        let address = ("127.0.0.1", self.place.tls_port);
        eventually("nginx to listen", START, || async {
            assert!(proxy.try_exit().is_none(), "nginx ended:\n{}", proxy.tail());
            let connected = tokio::net::TcpStream::connect(address).await;
            connected.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    /// Blocks writes to the index, or allows them again: while they are blocked, each document is refused with 403.
    pub async fn set_read_only(&self, on: bool) {
        self.set("index.blocks.read_only", on).await;
    }

    /// Sets the block that Elasticsearch sets when its disk is full, or removes it: while it is set, each document is
    /// refused with 429.
    pub async fn set_disk_full(&self, on: bool) {
        self.set("index.blocks.read_only_allow_delete", on).await;
    }

    async fn set(&self, block: &str, on: bool) {
        let value = if on { json!(true) } else { Value::Null };
        let answer = self
            .request("PUT", "/log.authorize/_settings", Some(&json!({ block: value })))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Sends any request to the node itself.
    pub async fn request(&self, method: &str, path: &str, body: Option<&Value>) -> http::Response {
        let url = format!("http://127.0.0.1:{}{path}", self.place.http_port);
        let body = body.map(Value::to_string).unwrap_or_default();
        http::send(method, &url, &[("content-type", "application/json")], body).await
    }

    /// Every document of the audit log, found by a search, ordered by start time. Empty if there is no index.
    pub async fn documents(&self) -> Vec<Document> {
        self.request("POST", "/log.authorize/_refresh", None).await;
        let query =
            json!({"size": 10_000, "sort": [{"start_time_ms": {"order": "asc", "unmapped_type": "long"}}]});
        let answer = eventually("Elasticsearch to search", START, || async {
            let answer = self.request("POST", "/log.authorize/_search", Some(&query)).await;
            match answer.status {
                200 | 404 => Ok(answer),
                // An index that has just been created cannot be searched yet.
                _ => Err(format!("{answer:?}")),
            }
        })
        .await;
        if answer.status == 404 {
            return Vec::new();
        }
        let answer = answer.json();
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        hits.into_iter()
            .map(|mut hit| Document {
                id: hit["_id"].as_str().unwrap_or_default().to_owned(),
                source: hit["_source"].take(),
            })
            .collect()
    }

    /// The number of documents in the audit log, even if a search would find too many.
    pub async fn count(&self) -> u64 {
        self.request("POST", "/log.authorize/_refresh", None).await;
        let answer = self.request("GET", "/log.authorize/_count", None).await;
        if answer.status == 404 {
            return 0;
        }
        let count = answer.json()["count"].as_u64();
        count.unwrap_or_else(|| panic!("no count: {answer:?}"))
    }

    /// The mapping of the audit log.
    pub async fn mapping(&self) -> Value {
        let answer = self.request("GET", "/log.authorize/_mapping", None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()[INDEX]["mappings"].take()
    }

    /// Removes the index with all its documents.
    pub async fn delete_index(&self) {
        let answer = self.request("DELETE", "/log.authorize", None).await;
        assert!(matches!(answer.status, 200 | 404), "{answer:?}");
    }

    /// Undoes changes that a test may have left behind.
    async fn restore(&mut self) {
        if let Some(node) = &self.node {
            node.signal(Signal::CONT);
        }
        if !self.is_usual && self.node.is_some() {
            self.stop().await;
        }
        self.start_again().await;
        if self.request("HEAD", "/log.authorize", None).await.status == 200 {
            self.set_read_only(false).await;
            self.delete_index().await;
        }
    }
}

fn running(process: Option<&Process>) -> &Process {
    let Some(process) = process else {
        panic!("Elasticsearch is not running")
    };
    process
}

fn take(process: &mut Option<Process>, name: &str) -> Process {
    let Some(process) = process.take() else {
        panic!("{name} is not running")
    };
    process
}
