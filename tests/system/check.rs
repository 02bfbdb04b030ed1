//! `--check` of the four programs: everything in order, each thing missing, mistakes in the environment, and
//! nothing left behind.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use harness::{Broker, Process, Receiver, Redis, Reply, Scratch, Vhost, free_port};

use crate::services::rust;

const WAIT: Duration = Duration::from_secs(20);
const API: &str = env!("CARGO_BIN_EXE_test-public-api");
const ACL: &str = env!("CARGO_BIN_EXE_test-acl-service");
const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
const STANDALONE: &str = env!("CARGO_BIN_EXE_test-standalone");
const PASSWORD: &str = "hunter2";

type Variables<'v> = Vec<(&'v str, String)>;

/// The result of a check.
struct Checked {
    code: Option<i32>,
    lines: Vec<String>,
    process: Process,
}

async fn check(program: &str, arguments: &[&str], variables: &Variables<'_>) -> Checked {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let process = rust(program, &[arguments, &["--check"]].concat(), &variables);
    let code = process.wait_exit(WAIT).await.code();
    let output = process.lines().join("\n");
    assert!(
        !output.contains("panicked") && !output.contains(PASSWORD),
        "{output}"
    );
    Checked {
        code,
        lines: process.stdout(),
        process,
    }
}

impl Checked {
    /// Asserts that the check passes and prints exactly these lines.
    fn is_well(&self, lines: &[&str]) {
        assert_eq!(
            (&self.lines[..], self.code),
            (&owned(lines)[..], Some(0)),
            "{}",
            self.process.tail()
        );
        assert!(self.process.stderr().is_empty(), "{}", self.process.tail());
        assert_eq!(files(self.process.directory()), 0, "it leaves nothing behind");
    }

    /// Asserts that exactly these parts fail, each with these words in its line.
    fn fails(&self, parts: &[&[&str]]) {
        assert_eq!(self.code, Some(1), "{}", self.process.tail());
        let failed: Vec<&String> = self
            .lines
            .iter()
            .filter(|line| line.starts_with("FAILED  "))
            .collect();
        assert_eq!(failed.len(), parts.len(), "{}", self.process.tail());
        for (line, words) in failed.iter().zip(parts) {
            assert!(
                words.iter().all(|word| line.contains(word)),
                "{words:?} not in {line}"
            );
        }
        assert_eq!(files(self.process.directory()), 0, "it leaves nothing behind");
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).expect("the directory").count()
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A port that is already in use.
fn taken() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    (listener, port)
}

fn shown(vhost: &Vhost) -> String {
    format!("amqp://guest:**@{}/{}", vhost.address(), vhost.name())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_api() {
    let vhost = Broker::shared().await.vhost("check-api").await;
    let (port, admin) = (free_port(), free_port());
    let variables = |port: u16, broker: String| {
        vec![
            ("FLASK_RUN_PORT", port.to_string()),
            ("ADMIN_ADDRESS", address(admin)),
            ("BROKER_URL", broker),
        ]
    };
    let well = |queue: &str| {
        vec![
            format!("ok      public API on 127.0.0.1:{port} (is free to listen on)"),
            format!("ok      health on 127.0.0.1:{admin} (is free to listen on)"),
            format!("ok      RabbitMQ {} ({queue})", shown(&vhost)),
        ]
    };
    let lines = well("queue celery does not exist yet and will be declared at start-up");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(API, &[], &variables(port, vhost.amqp_url()))
        .await
        .is_well(&lines);
    assert_eq!(vhost.queues().await, [""; 0], "nothing is declared");
    vhost
        .declare_queue("celery", &serde_json::json!({ "x-max-priority": 3 }))
        .await;
    let lines = well("queue celery exists");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(API, &[], &variables(port, vhost.amqp_url()))
        .await
        .is_well(&lines);
    assert_eq!(vhost.close_all_connections().await, 0, "no connection is left");

    // Everything that is wrong is reported, not only the first problem.
    let (_listener, taken) = taken();
    let closed = free_port();
    let at = vhost.address();
    let brokers = format!(
        "amqp://me:{PASSWORD}@127.0.0.1:{closed}//;amqp://me:{PASSWORD}@{at}//;amqp://{at}/no-such-vhost;{};amqp://rabbit.invalid",
        vhost.amqp_url()
    );
    let broken = check(API, &[], &variables(taken, brokers)).await;
    broken.fails(&[
        &[
            &format!("public API on 127.0.0.1:{taken}: the port is in use, as it is while"),
            "FLASK_RUN_PORT",
        ],
        &[
            &format!("amqp://me:**@127.0.0.1:{closed}//: "),
            "onnection refused",
            "BROKER_URL",
        ],
        &[&format!("amqp://me:**@{at}//: "), "refuses the login"],
        &["no-such-vhost: ", "not found"],
        &["rabbit.invalid:5672//: ", "BROKER_URL"],
    ]);
    assert_eq!(broken.lines.len(), 7, "{}", broken.process.tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acl_service() {
    let redis = Redis::start().await;
    let port = free_port();
    let variables = |port: u16, host: &str, redis: u16| {
        vec![
            ("FLASK_RUN_PORT", port.to_string()),
            ("REDIS_HOST", host.to_owned()),
            ("REDIS_PORT", redis.to_string()),
        ]
    };
    check(ACL, &[], &variables(port, "127.0.0.1", redis.port()))
        .await
        .is_well(&[
            &format!("ok      ACL service on 127.0.0.1:{port} (is free to listen on)"),
            &format!("ok      Redis 127.0.0.1:{} (answers)", redis.port()),
        ]);
    assert_eq!(redis.audit_keys().count().await, Some(0));

    let (_listener, taken) = taken();
    let closed = free_port();
    check(ACL, &[], &variables(taken, "127.0.0.1", closed))
        .await
        .fails(&[
            &["the port is in use", "AUTHORIZATION_SERVICE_PORT"],
            &[&format!(
                "Redis 127.0.0.1:{closed}: connection refused; start Redis"
            )],
        ]);
    check(ACL, &[], &variables(port, "redis.invalid", 6379))
        .await
        .fails(&[&["Redis redis.invalid:6379: the name redis.invalid cannot be resolved"]]);
    redis.freeze();
    check(ACL, &[], &variables(port, "127.0.0.1", redis.port()))
        .await
        .fails(&[&["Redis 127.0.0.1:", "no answer within 5 s"]]);
    redis.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker() {
    let vhost = Broker::shared().await.vhost("check-worker").await;
    let redis = Redis::start().await;
    let acl = Receiver::start_with(|_| Reply::status(404)).await;
    let proxy = Receiver::start().await;
    let arguments = ["-A", "authorization_worker.tasks", "worker", "-Q", "celery,slow"];
    let mut variables = vec![
        ("BROKER_URL", vhost.amqp_url()),
        (
            "AUTHORIZATION_SERVICE_URL",
            acl.url("").replace("http://", &format!("http://me:{PASSWORD}@")),
        ),
        ("REDIS_HOST", "127.0.0.1".to_owned()),
        ("REDIS_PORT", redis.port().to_string()),
    ];
    let checked = check(WORKER, &arguments, &variables).await;
    let spool = checked.process.directory().join("audit-spool.db");
    checked.is_well(&[
        &format!(
            "ok      RabbitMQ {} (queues celery, slow do not exist yet and will be declared at start-up)",
            shown(&vhost)
        ),
        &format!(
            "ok      ACL service {} (answers with status 404)",
            acl.url("").replace("http://", "http://**@")
        ),
        &format!("ok      audit log in Redis 127.0.0.1:{} (answers)", redis.port()),
        &format!("ok      audit spool {} (is writable)", spool.display()),
    ]);
    assert_eq!(vhost.queues().await, [""; 0], "nothing is declared");
    assert_eq!(redis.audit_keys().count().await, Some(0));

    // Files named on the command line, proxies and certificates are checked if there are any.
    let directory = Scratch::new();
    let bundle = directory.join("ca.pem");
    std::fs::write(&bundle, "no certificate").expect("it can be written");
    let log = directory.join("no/such/worker.log");
    variables.extend([
        ("REQUESTS_CA_BUNDLE", bundle.display().to_string()),
        (
            "https_proxy",
            format!("http://me:{PASSWORD}@127.0.0.1:{}", proxy.port()),
        ),
        ("all_proxy", format!("127.0.0.1:{}", free_port())),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        ("AUDIT_SPOOL", "/no/such/directory/spool.db".to_owned()),
        ("ADMIN_ADDRESS", "192.0.2.1:9100".to_owned()),
    ]);
    let closed = free_port();
    for (name, value) in &mut variables {
        match *name {
            "BROKER_URL" => *value = format!("amqp://127.0.0.1:{closed}//"),
            "AUTHORIZATION_SERVICE_URL" => *value = format!("http://127.0.0.1:{closed}"),
            "REDIS_PORT" => *value = closed.to_string(),
            _ => {}
        }
    }
    let arguments = ["worker", "-f", &log.display().to_string()];
    let broken = check(WORKER, &arguments, &variables).await;
    let certificates: &[&str] = &["CA certificates", "no CA certificate in", "REQUESTS_CA_BUNDLE"];
    broken.fails(&[
        &["RabbitMQ", "onnection refused", "BROKER_URL"],
        &["ACL service", "no CA certificate in"],
        certificates,
        &["proxy 127.0.0.1:", "of ALL_PROXY: connection refused"],
        &["audit log in Redis", "connection refused; start Redis"],
        &[
            "audit spool /no/such/directory/spool.db: ",
            "No such file or directory",
        ],
        &[
            "health on 192.0.2.1:9100: this machine has no such address",
            "ADMIN_ADDRESS",
        ],
        &["log file ", "worker.log: No such file or directory"],
    ]);
    let proxied = format!(
        "ok      proxy 127.0.0.1:{} of HTTPS_PROXY (accepts connections)",
        proxy.port()
    );
    assert!(broken.lines.contains(&proxied), "{}", broken.process.tail());
    variables.retain(|(name, _)| *name != "REQUESTS_CA_BUNDLE");
    let broken = check(WORKER, &["worker"], &variables).await;
    let acl: Vec<_> = broken
        .lines
        .iter()
        .filter(|line| line.contains("ACL service"))
        .collect();
    assert!(
        acl.len() == 1
            && acl[0].contains("onnection refused")
            && acl[0].contains("set AUTHORIZATION_SERVICE_URL"),
        "{acl:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_with_elasticsearch_or_no_audit_log() {
    let vhost = Broker::shared().await.vhost("check-audit").await;
    let acl = Receiver::start().await;
    let elastic = |reply: fn() -> Reply| Receiver::start_with(move |_| reply());
    let genuine = elastic(|| {
        let headers = vec![("X-Elastic-Product".into(), "Elasticsearch".into())];
        Reply::Answer(200, headers, "{}".into())
    })
    .await;
    let other = elastic(|| Reply::status(200)).await;
    let forbidding = elastic(|| Reply::status(401)).await;
    let mut variables = vec![
        ("BROKER_URL", vhost.amqp_url()),
        ("AUTHORIZATION_SERVICE_URL", acl.url("")),
    ];
    let checked = check(WORKER, &["worker"], &variables).await;
    assert_eq!(checked.code, Some(0), "{}", checked.process.tail());
    let none = "ok      audit log (none: neither ELASTICSEARCH_URL nor REDIS_HOST is set)";
    assert_eq!(checked.lines[2..], [none]);
    variables.push(("ELASTIC_PASSWORD", PASSWORD.to_owned()));
    variables.push(("ELASTICSEARCH_URL", genuine.url("")));
    let checked = check(WORKER, &["worker"], &variables).await;
    assert_eq!(checked.code, Some(0), "{}", checked.process.tail());
    assert_eq!(genuine.requests().len(), 1, "only GET /");
    for (url, why) in [
        (other.url(""), "the server is not Elasticsearch"),
        (forbidding.url(""), "ELASTIC_PASSWORD (status 401)"),
        (format!("http://127.0.0.1:{}", free_port()), "onnection refused"),
    ] {
        variables.pop();
        variables.push(("ELASTICSEARCH_URL", url.clone()));
        check(WORKER, &["worker"], &variables).await.fails(&[&[
            &format!("audit log in Elasticsearch {url}"),
            why,
            "set ELASTICSEARCH_URL",
        ]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standalone() {
    let directory = Scratch::new();
    let database = directory.join("a.db");
    let (api, acl) = (free_port(), free_port());
    let variables = vec![
        ("STANDALONE_API_PORT", api.to_string()),
        ("AUTHORIZATION_SERVICE_PORT", acl.to_string()),
        ("STANDALONE_DATABASE", database.display().to_string()),
    ];
    let well = |detail: &str| {
        [
            format!("ok      public API on 127.0.0.1:{api} (is free to listen on)"),
            format!("ok      ACL service on 127.0.0.1:{acl} (is free to listen on)"),
            format!("ok      database {} ({detail})", database.display()),
        ]
    };
    let lines = well("does not exist yet; the start creates it");
    check(STANDALONE, &[], &variables)
        .await
        .is_well(&lines.each_ref().map(String::as_str));
    assert_eq!(files(directory.path()), 0);

    let settings: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let running = rust(STANDALONE, &[], &settings);
    running.wait_for_line("Press Ctrl-C to stop", WAIT).await;
    let process = format!(
        "another standalone process ({}) has it open; stop that one",
        running.pid()
    );
    check(STANDALONE, &[], &variables).await.fails(&[
        &["public API on", "the port is in use", "STANDALONE_API_PORT"],
        &[
            "ACL service on",
            "the port is in use",
            "AUTHORIZATION_SERVICE_PORT",
        ],
        &["database ", &process],
    ]);
    running.signal(harness::Signal::TERM);
    running.wait_exit(WAIT).await;
    let before = files(directory.path());
    let lines = well("can be used");
    check(STANDALONE, &[], &variables)
        .await
        .is_well(&lines.each_ref().map(String::as_str));
    assert_eq!(files(directory.path()), before);
    check(STANDALONE, &["--database", "/no/such/a.db"], &variables)
        .await
        .fails(&[&[
            "database /no/such/a.db: ",
            "is not writable: No such file or directory",
        ]]);
}

#[tokio::test]
async fn mistakes_in_the_environment_end_it_before_anything_is_tried() {
    let variables = vec![("ADMIN_ADDRESS", "9100".to_owned())];
    for program in [API, ACL, WORKER, STANDALONE] {
        let checked = check(program, &[], &variables).await;
        assert_eq!(
            (checked.code, checked.lines.len()),
            (Some(64), 0),
            "{}",
            checked.process.tail()
        );
        assert!(checked.process.tail().contains("ADMIN_ADDRESS: is \"9100\""));
    }
}
