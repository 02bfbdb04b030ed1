//! The Python twins of the three services (python-compat), run from the project's virtual environment.

use std::path::PathBuf;
use std::time::Duration;

use crate::eventually::eventually;
use crate::http;
use crate::process::Process;
use crate::redis_server::Redis;

/// Importing Celery takes a second, but several times as long on a busy machine.
const START: Duration = Duration::from_mins(3);

/// An HTTP service under test, written in Python or in Rust.
#[derive(Debug)]
pub struct Service {
    /// The service's process.
    pub process: Process,
    /// The service's port on 127.0.0.1.
    pub port: u16,
}

impl Service {
    /// Waits until the process answers HTTP requests on `port`; panics if it ends or three minutes pass.
    pub async fn start(process: Process, port: u16) -> Self {
        let url = format!("http://127.0.0.1:{port}/");
        eventually(format!("an answer from {url}"), START, || async {
            if let Some(status) = process.try_exit() {
                panic!("the service for {url} ended ({status}):\n{}", process.tail());
            }
            http::try_send("GET", &url, &[], "")
                .await
                .map_err(|error| format!("{error:#}"))
        })
        .await;
        Self { process, port }
    }

    /// The base URL of the service, without a final slash.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Starts the Python public API and waits until it answers.
pub async fn public_api(port: u16, broker_url: &str, variables: &[(&str, &str)]) -> Service {
    let port_text = port.to_string();
    let mut environment = vec![("BROKER_URL", broker_url), ("FLASK_RUN_PORT", &port_text)];
    environment.extend(variables);
    Service::start(
        spawn("flask", &["--app", "public_api", "run"], &environment),
        port,
    )
    .await
}

/// Starts the Python ACL service and waits until it answers.
pub async fn acl_service(port: u16, redis: &Redis) -> Service {
    let (port_text, redis_port) = (port.to_string(), redis.port().to_string());
    let environment = [
        ("FLASK_RUN_PORT", port_text.as_str()),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &redis_port),
    ];
    Service::start(
        spawn("flask", &["--app", "authorization_service", "run"], &environment),
        port,
    )
    .await
}

/// Starts the Python worker (with two pool processes unless `arguments` specify otherwise) and waits until it
/// consumes. If `redis` is given, the worker logs there, otherwise nowhere.
pub async fn worker(
    broker_url: &str,
    acl_url: &str,
    redis: Option<&Redis>,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Process {
    let mut command = vec![
        "-A",
        "authorization_worker.tasks",
        "worker",
        "--loglevel=INFO",
        "--concurrency=2",
    ];
    command.extend(arguments);
    let redis_port = redis.map(|redis| redis.port().to_string());
    let mut environment = vec![("BROKER_URL", broker_url), ("AUTHORIZATION_SERVICE_URL", acl_url)];
    if let Some(port) = &redis_port {
        environment.extend([("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", port)]);
    }
    environment.extend(variables);
    let worker = spawn("celery", &command, &environment);
    worker.wait_for_line(" ready.", START).await;
    worker
}

/// Runs `celery` with these arguments, such as `-A authorization_worker.tasks inspect ping`, and returns its
/// output; panics if it fails.
pub async fn celery(arguments: &[&str], broker_url: &str) -> String {
    output(&spawn("celery", arguments, &[("BROKER_URL", broker_url)])).await
}

/// Runs a Python program, given as source text, that may import the twins, and returns its output; panics if it
/// fails.
pub async fn python(program: &str, variables: &[(&str, &str)]) -> String {
    output(&spawn("python", &["-c", program], variables)).await
}

/// Starts a program of the virtual environment with the twins on its path.
pub fn spawn(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let twins = project.join("python-compat").display().to_string();
    let mut environment = vec![
        ("PYTHONPATH", twins.as_str()),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    environment.extend(variables);
    Process::spawn(project.join(".venv/bin").join(program), arguments, environment)
}

async fn output(process: &Process) -> String {
    let status = process.wait_exit(START).await;
    assert!(status.success(), "{status}:\n{}", process.tail());
    process.stdout().join("\n")
}
