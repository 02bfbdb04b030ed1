//! The three services, each in its Rust or its Python implementation, with the same environment.

use std::fmt;
use std::time::Duration;

use harness::{Process, Receiver, Redis, Service, Vhost, free_port, http, python};

/// The maximum wait for a service to start, even on a busy machine. Python's Celery takes two seconds on an
/// idle one.
pub(crate) const START: Duration = Duration::from_mins(3);

/// `CALLBACK_TIMEOUT_SEC` of every worker. It is long enough that no callback status depends on the load of
/// the machine, and that a callback held back by a test stays pending.
pub(crate) const PATIENT_CALLBACKS: (&str, &str) = ("CALLBACK_TIMEOUT_SEC", "120");

/// The implementation of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Python,
    Rust,
}

/// The implementation of each of the three services.
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
    pub(crate) const RUST: Self = Self {
        api: By::Rust,
        worker: By::Rust,
        acl: By::Rust,
    };
}

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "API {:?}, worker {:?}, ACL {:?}",
            self.api, self.worker, self.acl
        )
    }
}

/// A public API.
pub(crate) struct Api(pub(crate) Service);

impl Api {
    /// Starts an API with `timeout` as `AUTHORIZATION_TIMEOUT_SEC`.
    pub(crate) async fn start(by: By, broker_url: &str, timeout: u32) -> Self {
        let port = free_port();
        let timeout = timeout.to_string();
        Self(match by {
            By::Python => {
                python::public_api(port, broker_url, &[("AUTHORIZATION_TIMEOUT_SEC", &timeout)]).await
            }
            By::Rust => {
                let port_text = port.to_string();
                let variables = [
                    ("BROKER_URL", broker_url),
                    ("FLASK_RUN_PORT", &port_text),
                    ("AUTHORIZATION_TIMEOUT_SEC", &timeout),
                ];
                Service::start(rust(env!("CARGO_BIN_EXE_test-public-api"), &[], &variables), port).await
            }
        })
    }

    /// The authorize URL of a station and token, without a query.
    pub(crate) fn url(&self, station: &str, token: &str) -> String {
        format!("{}/station/{station}/driver/{token}/authorize", self.0.url())
    }

    /// Requests an authorization. Returns `None` if there was no HTTP answer.
    pub(crate) async fn authorize(
        &self,
        station: &str,
        token: &str,
        callback: &str,
    ) -> Option<http::Response> {
        let url = format!("{}?callback_url={callback}", self.url(station, token));
        http::try_send("GET", &url, &[], Vec::new()).await.ok()
    }
}

/// An ACL service.
pub(crate) struct Acl(pub(crate) Service);

impl Acl {
    pub(crate) async fn start(by: By, redis: &Redis) -> Self {
        let port = free_port();
        Self(match by {
            By::Python => python::acl_service(port, redis).await,
            By::Rust => {
                let (redis_port, port_text) = (redis.port().to_string(), port.to_string());
                let variables = [
                    ("REDIS_HOST", "127.0.0.1"),
                    ("REDIS_PORT", &redis_port),
                    ("FLASK_RUN_PORT", &port_text),
                ];
                Service::start(
                    rust(env!("CARGO_BIN_EXE_test-acl-service"), &[], &variables),
                    port,
                )
                .await
            }
        })
    }

    /// Puts a token onto a station's allow-list.
    pub(crate) async fn allow(&self, station: &str, token: &str) -> http::Response {
        http::put(&format!("{}/station/{station}/driver/{token}/acl", self.0.url())).await
    }
}

/// Starts a worker and waits until it consumes.
pub(crate) async fn worker(by: By, vhost: &Vhost, acl: &Acl, redis: &Redis, concurrency: u32) -> Process {
    let concurrency = format!("--concurrency={concurrency}");
    let broker_url = vhost.amqp_url();
    match by {
        By::Python => {
            let patient = [PATIENT_CALLBACKS];
            python::worker(&broker_url, &acl.0.url(), Some(redis), &[&concurrency], &patient).await
        }
        By::Rust => {
            let arguments = [
                "-A",
                "authorization_worker.tasks",
                "worker",
                "--loglevel=INFO",
                &concurrency,
            ];
            rust_worker(&broker_url, acl, redis, &arguments).await
        }
    }
}

/// Starts a Rust worker with this command line and waits until it consumes.
pub(crate) async fn rust_worker(broker_url: &str, acl: &Acl, redis: &Redis, arguments: &[&str]) -> Process {
    let (acl_url, redis_port) = (acl.0.url(), redis.port().to_string());
    let variables = [
        ("BROKER_URL", broker_url),
        ("AUTHORIZATION_SERVICE_URL", &acl_url),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &redis_port),
        PATIENT_CALLBACKS,
    ];
    let process = rust(env!("CARGO_BIN_EXE_test-worker"), arguments, &variables);
    process.wait_for_line(" ready.", START).await;
    process
}

/// Starts a Rust program with exactly these variables.
pub(crate) fn rust(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    Process::spawn(program, arguments, variables.iter().copied())
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

/// `AUTHORIZATION_TIMEOUT_SEC` of a stack's API. It is long enough that no verdict depends on the load of the
/// machine.
const PATIENT_SECONDS: u32 = 60;

impl Stack {
    pub(crate) async fn start(cast: Cast, vhost: Vhost) -> Self {
        let redis = Redis::start().await;
        let broker_url = vhost.amqp_url();
        let (acl, api, receiver) = futures_util::join!(
            Acl::start(cast.acl, &redis),
            Api::start(cast.api, &broker_url, PATIENT_SECONDS),
            Receiver::start()
        );
        let worker = worker(cast.worker, &vhost, &acl, &redis, 8).await;
        Self {
            api,
            acl,
            worker,
            redis,
            receiver,
            vhost,
        }
    }
}
