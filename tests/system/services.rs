//! The three services, each as its Rust or its Python self, with the same environment.

use std::fmt;
use std::time::Duration;

use harness::{Process, Receiver, Redis, Vhost, eventually, free_port, http, twins};

/// Longest wait for a service to come up. Python's Celery takes two seconds on an idle machine.
pub(crate) const START: Duration = Duration::from_secs(40);

/// Who implements a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Python,
    Rust,
}

/// Who implements which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cast {
    pub(crate) api: By,
    pub(crate) worker: By,
    pub(crate) acl: By,
}

impl Cast {
    /// All eight combinations.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let both = [By::Python, By::Rust];
        both.into_iter().flat_map(move |api| {
            both.into_iter()
                .flat_map(move |worker| both.into_iter().map(move |acl| Self { api, worker, acl }))
        })
    }

    /// All three in Rust.
    pub(crate) const RUST: Self = Self { api: By::Rust, worker: By::Rust, acl: By::Rust };
}

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "API {:?}, worker {:?}, ACL {:?}", self.api, self.worker, self.acl)
    }
}

/// Environment variables of a service.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// A public API that answers on this port.
pub(crate) struct Api {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Api {
    /// Starts one; `timeout` is `AUTHORIZATION_TIMEOUT_SEC`.
    pub(crate) async fn start(by: By, broker_url: &str, timeout: u32) -> Self {
        let port = free_port();
        let variables = vec![
            ("BROKER_URL", broker_url.to_owned()),
            ("FLASK_RUN_PORT", port.to_string()),
            ("AUTHORIZATION_TIMEOUT_SEC", timeout.to_string()),
        ];
        let process = match by {
            By::Python => twins::public_api(&variables),
            By::Rust => rust(env!("CARGO_BIN_EXE_test-public-api"), &[], variables),
        };
        answers(port).await;
        Self { process, port }
    }

    /// The authorize URL of a station and token, without a query.
    pub(crate) fn url(&self, station: &str, token: &str) -> String {
        format!("http://127.0.0.1:{}/station/{station}/driver/{token}/authorize", self.port)
    }

    /// Asks for an authorization; `None` when there was no HTTP answer.
    pub(crate) async fn authorize(&self, station: &str, token: &str, callback: &str) -> Option<http::Response> {
        let url = format!("{}?callback_url={callback}", self.url(station, token));
        http::try_send("GET", &url, &[], Vec::new()).await.ok()
    }
}

/// An ACL service that answers on this port.
pub(crate) struct Acl {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Acl {
    pub(crate) async fn start(by: By, redis: &Redis) -> Self {
        let port = free_port();
        let mut variables: Variables = redis.variables().to_vec();
        variables.push(("FLASK_RUN_PORT", port.to_string()));
        let process = match by {
            By::Python => twins::acl_service(&variables),
            By::Rust => rust(env!("CARGO_BIN_EXE_test-acl-service"), &[], variables),
        };
        answers(port).await;
        Self { process, port }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts a token onto a station's allow-list.
    pub(crate) async fn allow(&self, station: &str, token: &str) -> http::Response {
        http::put(&format!("{}/station/{station}/driver/{token}/acl", self.base_url())).await
    }
}

/// Starts a worker and waits until it consumes.
pub(crate) async fn worker(by: By, variables: Variables, concurrency: u32) -> Process {
    let concurrency = format!("-c{concurrency}");
    let arguments = ["-A", "authorization_worker.tasks", "worker", "-l", "INFO", &concurrency];
    let process = match by {
        By::Python => twins::worker(&arguments, &variables),
        By::Rust => rust(env!("CARGO_BIN_EXE_test-worker"), &arguments, variables),
    };
    process.wait_for_line(" ready.", START).await;
    process
}

/// Starts a Rust program with exactly these variables.
pub(crate) fn rust(program: &str, arguments: &[&str], variables: Variables) -> Process {
    Process::spawn(program, arguments, variables)
}

async fn answers(port: u16) {
    eventually(format!("an HTTP answer on port {port}"), START, || async {
        http::try_send("GET", &format!("http://127.0.0.1:{port}/"), &[], Vec::new())
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
    .await;
}

/// All three services on one broker vhost and one Redis, with a callback receiver.
pub(crate) struct Stack {
    pub(crate) api: Api,
    pub(crate) acl: Acl,
    pub(crate) worker: Process,
    pub(crate) redis: Redis,
    pub(crate) receiver: Receiver,
    pub(crate) vhost: Vhost,
}

/// `AUTHORIZATION_TIMEOUT_SEC` of a stack's API: long enough that no verdict hangs on how busy the machine is.
const PATIENT_SECONDS: u32 = 60;

impl Stack {
    pub(crate) async fn start(cast: Cast, vhost: Vhost) -> Self {
        Self::start_with(cast, vhost, 8).await
    }

    pub(crate) async fn start_with(cast: Cast, vhost: Vhost, concurrency: u32) -> Self {
        let redis = Redis::start().await;
        let broker_url = vhost.amqp_url();
        let (acl, api, receiver) = futures_util::join!(
            Acl::start(cast.acl, &redis),
            Api::start(cast.api, &broker_url, PATIENT_SECONDS),
            Receiver::start()
        );
        let variables = worker_variables(&vhost, &acl, &redis);
        let worker = worker(cast.worker, variables, concurrency).await;
        Self { api, acl, worker, redis, receiver, vhost }
    }
}

/// What a worker of a stack is configured with.
pub(crate) fn worker_variables(vhost: &Vhost, acl: &Acl, redis: &Redis) -> Variables {
    let mut variables: Variables = redis.variables().to_vec();
    variables.push(("BROKER_URL", vhost.amqp_url()));
    variables.push(("AUTHORIZATION_SERVICE_URL", acl.base_url()));
    variables
}
