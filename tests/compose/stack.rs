//! The stack: its containers, and how it looks from outside.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use harness::{Receiver, Scratch, eventually, free_port, http};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::engine::{Compose, docker, docker_reads};

/// The longest wait for anything: usually seconds, but several times as long on a busy machine.
pub(crate) const WAIT: Duration = Duration::from_mins(2);

const PASSWORD: &str = "s3cret-of-the-test";

/// The implementation of a service: the value of its variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Python,
    Rust,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "python",
            Self::Rust => "rust",
        })
    }
}

/// A service that can be swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Api,
    Worker,
    Acl,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Api, Self::Worker, Self::Acl];

    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::Api => "public_api",
            Self::Worker => "authorization_worker",
            Self::Acl => "authorization_service",
        }
    }

    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Api => "PUBLIC_API",
            Self::Worker => "AUTHORIZATION_WORKER",
            Self::Acl => "AUTHORIZATION_SERVICE",
        }
    }
}

/// A record in the audit log.
pub(crate) struct Record {
    pub(crate) station: String,
    pub(crate) status: String,
    pub(crate) callback_status: String,
}

/// Time-critical steps, such as a burst, run in one deployment at a time: the ACL service waits 900 ms for Redis, even on a
/// machine that several deployments share.
pub(crate) async fn quiet() -> MutexGuard<'static, ()> {
    static QUIET: Mutex<()> = Mutex::const_new(());
    QUIET.lock().await
}

/// The whole deployment as a compose project of its own; it is removed when dropped, volumes included.
pub(crate) struct Stack {
    pub(crate) compose: Compose,
    pub(crate) receiver: Receiver,
    project: String,
    variables: BTreeMap<&'static str, String>,
    ports: [u16; 5],
    /// The directory with the certificate of Elasticsearch's CA.
    ca: OnceCell<Scratch>,
}

impl Stack {
    /// Starts everything, with all services in Rust, and with this RabbitMQ version.
    pub(crate) async fn up(compose: Compose, rabbitmq: &str) -> Self {
        let ports = [(); 5].map(|()| free_port());
        let mut variables = BTreeMap::from([
            ("ELASTIC_PASSWORD", PASSWORD.to_owned()),
            ("RABBITMQ_VERSION", rabbitmq.to_owned()),
            // A service that is swapped or killed may take some time; this must not make a verdict unknown.
            ("AUTHORIZATION_TIMEOUT_SEC", "300".to_owned()),
            ("CALLBACK_TIMEOUT_SEC", "5".to_owned()),
        ]);
        let names = [
            "PUBLIC_API_AT",
            "AUTHORIZATION_SERVICE_AT",
            "RABBIT_AT",
            "REDIS_AT",
            "ELASTIC_AT",
        ];
        for (name, port) in names.into_iter().zip(ports) {
            variables.insert(name, format!("127.0.0.1:{port}"));
        }
        for part in Part::ALL {
            variables.insert(part.variable(), By::Rust.to_string());
        }
        let stack = Self {
            compose,
            receiver: Receiver::start_for_containers().await,
            project: format!(
                "cp-auth-test-{}-{}",
                std::process::id(),
                rabbitmq.replace('.', "-")
            ),
            variables,
            ports,
            ca: OnceCell::new(),
        };
        stack.start().await;
        stack
    }

    /// Runs `up -d` for everything, and waits until all services are ready.
    pub(crate) async fn start(&self) {
        self.run(&["up", "-d", "--no-build"]);
        for part in Part::ALL {
            self.ready(part).await;
        }
    }

    /// Runs compose on this project.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.compose.done(
            &self.variables,
            &[&["-p", self.project.as_str()], arguments].concat(),
        )
    }

    /// Replaces a service's program with the other implementation, as described in the documentation, and waits until it is
    /// ready.
    pub(crate) async fn swap(&mut self, part: Part, to: By) {
        self.variables.insert(part.variable(), to.to_string());
        self.run(&["up", "-d", "--no-deps", "--no-build", part.service()]);
        self.ready(part).await;
    }

    pub(crate) fn by(&self, part: Part) -> By {
        if self.variables[part.variable()] == By::Rust.to_string() {
            By::Rust
        } else {
            By::Python
        }
    }

    /// Waits until the service works.
    pub(crate) async fn ready(&self, part: Part) {
        let url = match part {
            Part::Api => format!("http://127.0.0.1:{}/", self.ports[0]),
            Part::Acl => format!("http://127.0.0.1:{}/", self.ports[1]),
            Part::Worker => return self.worker_ready().await,
        };
        eventually(format!("{} to answer", part.service()), WAIT, || async {
            let answer = http::try_send("GET", &url, &[], "").await;
            answer.map(drop).map_err(|error| format!("{error:#}"))
        })
        .await;
    }

    async fn worker_ready(&self) {
        eventually("a worker that consumes", WAIT, || async {
            let worker = self.container(Part::Worker.service());
            let since = docker(&["inspect", "-f", "{{.State.StartedAt}}", &worker]);
            let log = Command::new("docker")
                .args(["logs", "--since", since.trim(), &worker])
                .output()
                .unwrap();
            let log = String::from_utf8_lossy(&[log.stdout, log.stderr].concat()).into_owned();
            if log.contains(" ready.") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            Err(log)
        })
        .await;
    }

    /// Waits until docker's own health checks report every container as healthy.
    pub(crate) async fn healthy(&self) {
        eventually("all containers to be healthy", WAIT, || async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let filter = format!("label=com.docker.compose.project={}", self.project);
            let states = docker(&["ps", "--filter", &filter, "--format", "{{.Names}} {{.Status}}"]);
            if states.lines().count() == 6 && states.lines().all(|line| line.ends_with("(healthy)")) {
                Ok(())
            } else {
                Err(states)
            }
        })
        .await;
    }

    /// The container of a service, running or not.
    pub(crate) fn container(&self, service: &str) -> String {
        let filters = ["project", "service"].map(|what| {
            let value = if what == "project" { &self.project } else { service };
            format!("label=com.docker.compose.{what}={value}")
        });
        let found = docker(&["ps", "-aq", "--filter", &filters[0], "--filter", &filters[1]]);
        found.lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) fn network(&self) -> String {
        format!("{}_default", self.project)
    }

    /// The authorize URL of the published port, without a query.
    pub(crate) fn authorize_url(&self, station: &str, token: &str) -> String {
        let port = self.ports[0];
        format!("http://127.0.0.1:{port}/station/{station}/driver/{token}/authorize")
    }

    pub(crate) fn acl_url(&self, station: &str, token: &str) -> String {
        let port = self.ports[1];
        format!("http://127.0.0.1:{port}/station/{station}/driver/{token}/acl")
    }

    /// The URL at which a container can reach the receiver.
    pub(crate) fn callback_url(&self, path: &str) -> String {
        format!("http://host.docker.internal:{}{path}", self.receiver.port())
    }

    /// Adds the token to the allow-lists of many stations at once, bypassing the ACL service.
    pub(crate) fn allow_in_redis(&self, stations: &[String], token: &str) {
        let commands: Vec<String> = stations
            .iter()
            .map(|station| format!("SADD station:{station}:allowlist {token}\n"))
            .collect();
        docker_reads(
            &["exec", "-i", &self.container("redis"), "redis-cli"],
            &commands.concat(),
        );
    }

    pub(crate) fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        let rabbit = self.container("rabbit");
        docker(&[&["exec", &rabbit, "rabbitmqctl", "-q"], arguments].concat())
    }

    /// The answer of Elasticsearch on its published port, over TLS verified with its own CA.
    pub(crate) fn elastic(&self, method: &str, path: &str) -> Option<Value> {
        let url = format!("https://localhost:{}{path}", self.ports[4]);
        let file = self.ca.get_or_init(|| {
            let file = Scratch::new();
            let elastic = self.container("elastic");
            let ca = docker(&["exec", &elastic, "cat", "config/certs/ca/ca.crt"]);
            std::fs::write(file.join("ca.crt"), ca).unwrap();
            file
        });
        let answer = Command::new("curl")
            .args(["-s", "--max-time", "20", "--cacert"])
            .arg(file.join("ca.crt"))
            .args(["-u", &format!("elastic:{PASSWORD}"), "-X", method, &url])
            .output()
            .unwrap();
        serde_json::from_slice(&answer.stdout).ok()
    }

    /// The audit records of the stations whose ids begin with `batch`.
    pub(crate) fn records(&self, batch: &str) -> Vec<Record> {
        self.elastic("POST", "/log.authorize/_refresh");
        let path = format!("/log.authorize/_search?q=station_id:{batch}&size=10000");
        let Some(answer) = self.elastic("GET", &path) else {
            return Vec::new();
        };
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        let text = |hit: &Value, field: &str| hit["_source"][field].as_str().unwrap_or_default().to_owned();
        hits.iter()
            .map(|hit| Record {
                station: text(hit, "station_id"),
                status: text(hit, "status"),
                callback_status: text(hit, "callback_status"),
            })
            .collect()
    }

    /// The total number of records.
    pub(crate) fn record_count(&self) -> u64 {
        self.elastic("POST", "/log.authorize/_refresh");
        let answer = self.elastic("GET", "/log.authorize/_count");
        answer.and_then(|answer| answer["count"].as_u64()).unwrap_or(0)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let project = ["-p", self.project.as_str()];
        if std::thread::panicking() {
            let logs = self
                .compose
                .run(&self.variables, &[&project[..], &["logs", "--tail=40"]].concat());
            println!("{}", String::from_utf8_lossy(&logs.stdout));
        }
        let down = self.compose.run(
            &self.variables,
            &[&project[..], &["down", "-v", "-t", "5"]].concat(),
        );
        if !down.status.success() {
            println!("cannot clean up: {}", String::from_utf8_lossy(&down.stderr));
        }
    }
}
