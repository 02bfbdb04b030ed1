//! No password reaches a log, an error or an answer, at any log level. Driver tokens stay out of the default
//! log.

use std::time::Duration;

use harness::{Broker, Process, Receiver, Redis, Reply, Service, Signal, eventually, free_port, http};
use serde_json::json;
use uuid::Uuid;

use crate::load::SETTLE;
use crate::services::{START, rust};

const WAIT: Duration = Duration::from_mins(1);
const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
const API: &str = env!("CARGO_BIN_EXE_test-public-api");
const ACL: &str = env!("CARGO_BIN_EXE_test-acl-service");
const STANDALONE: &str = env!("CARGO_BIN_EXE_test-standalone");

/// The marked secrets of this test. Each stands for one place through which passwords enter.
const BROKER: &str = "brokerPa55-marked";
const WRONG: &str = "wrongPa55-marked";
const PROXY: &str = "proxyPa55-marked";
const ACL_SERVICE: &str = "aclPa55-marked";
const ELASTIC: &str = "elasticPa55-marked";
const CALLBACK: &str = "callbackPa55-marked";
const REDIRECT: &str = "redirectPa55-marked";
/// 32 bytes in base64.
const SIGNING: &str = "c2lnbmluZ1BhNTUtbWFya2VkLXNpZ25pbmdQYTU1LW0=";
const PASSWORDS: [&str; 8] = [
    BROKER,
    WRONG,
    PROXY,
    ACL_SERVICE,
    ELASTIC,
    CALLBACK,
    REDIRECT,
    SIGNING,
];
const TOKEN: &str = "tokenMarked-0123456789-abcdef";

/// The user name that precedes each password.
const USER: &str = "me";

/// The forms that a secret may take in a log: as it is, in URLs, in headers, in AMQP's login, in bytes.
fn disguises(secret: &str) -> Vec<String> {
    let bytes = |separator: &str| {
        let bytes: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        bytes.join(separator)
    };
    vec![
        secret.to_owned(),
        secret.replace('-', "%2D"),
        base64(&format!("{USER}:{secret}")),
        base64(&format!("elastic:{secret}")),
        base64(&format!("\0{USER}\0{secret}")),
        bytes(", "),
        bytes(","),
    ]
}

/// Encodes whole groups of three bytes only. The rest and its padding depend on the text that follows.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks_exact(3) {
        let bits = u32::from_be_bytes([0, chunk[0], chunk[1], chunk[2]]);
        for shift in [18, 12, 6, 0] {
            encoded.push(char::from(DIGITS[(bits >> shift) as usize & 63]));
        }
    }
    encoded
}

fn assert_hides(what: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        for disguise in disguises(secret) {
            if let Some(at) = text.find(&disguise) {
                let line = text[..at].rfind('\n').map_or(0, |line| line + 1);
                let line: String = text[line..]
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(2000)
                    .collect();
                panic!("{what} shows {secret}: {line}");
            }
        }
    }
}

/// The programs of a run, and every answer that they gave.
struct Run {
    /// The value of `RUST_LOG`.
    log: Option<&'static str>,
    processes: Vec<(&'static str, Process)>,
    answers: Vec<String>,
}

impl Run {
    fn start(&mut self, program: &'static str, arguments: &[&str], variables: &[(&str, &str)]) -> &Process {
        let mut variables = variables.to_vec();
        variables.extend(self.log.map(|log| ("RUST_LOG", log)));
        self.processes
            .push((program, rust(program, arguments, &variables)));
        &self.processes.last().expect("one was pushed").1
    }

    async fn serve(&mut self, program: &'static str, port: u16, variables: &[(&str, &str)]) -> String {
        let port_text = port.to_string();
        let mut variables = variables.to_vec();
        variables.push(("FLASK_RUN_PORT", &port_text));
        self.start(program, &[], &variables);
        let (program, process) = self.processes.pop().expect("it was pushed");
        let service = Service::start(process, port).await;
        let url = service.url();
        self.processes.push((program, service.process));
        url
    }

    async fn ask(&mut self, method: &str, url: &str) -> u16 {
        let answer = http::send(method, url, &[], Vec::new()).await;
        self.answers
            .push(format!("{:?} {}", answer.headers, answer.text()));
        answer.status
    }

    /// Ends every program and asserts that its whole output and all answers hide the secrets.
    async fn hides(self, secrets: &[&str]) -> usize {
        let mut size = 0;
        for answer in &self.answers {
            assert_hides("an answer", answer, secrets);
        }
        for (program, process) in &self.processes {
            if process.try_exit().is_none() {
                process.signal(Signal::TERM);
            }
            process.wait_exit(WAIT).await;
            let output = process.lines().join("\n");
            assert!(!output.is_empty(), "{program} has written something");
            assert!(!output.contains("panicked"), "{output}");
            assert_hides(program, &output, secrets);
            size += output.len();
        }
        size
    }
}

fn authorize(api: &str, station: Uuid, callback: &str) -> String {
    format!("{api}/station/{station}/driver/{TOKEN}/authorize?callback_url={callback}")
}

/// Runs the programs without failures: logins succeed, and callbacks are signed and sent with credentials,
/// even after a redirect.
async fn all_is_well(run: &mut Run) {
    let broker = Broker::shared().await;
    let vhost = broker.vhost("secrets").await;
    let user = format!("{USER}-{}", Uuid::new_v4());
    broker.ctl(&["add_user", &user, BROKER]).await;
    broker
        .ctl(&["set_permissions", "-p", vhost.name(), &user, ".*", ".*", ".*"])
        .await;
    let broker_url = format!("amqp://{user}:{BROKER}@{}/{}", vhost.address(), vhost.name());
    let redis = Redis::start().await;
    let redis_port = redis.port().to_string();
    let redis_at = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", redis_port.as_str())];
    let target = Receiver::start().await;
    let onward = format!("http://{USER}:{REDIRECT}@127.0.0.1:{}/", target.port());
    let redirecting = Receiver::start_with(move |_| Reply::redirect(307, &onward)).await;
    // This stands in for a proxy and gives the answers to the ACL client and to callbacks itself.
    let proxy = Receiver::start_with(|_| Reply::json(&json!({"allowed": true}))).await;
    let proxy_url = format!("http://{USER}:{PROXY}@127.0.0.1:{}", proxy.port());

    let acl = run.serve(ACL, free_port(), &redis_at).await;
    let admin = free_port();
    let admin_address = format!("127.0.0.1:{admin}");
    let api = [
        ("BROKER_URL", broker_url.as_str()),
        ("ADMIN_ADDRESS", &admin_address),
    ];
    let api = run.serve(API, free_port(), &api).await;
    let acl_url = acl.replace("http://", &format!("http://{USER}:{ACL_SERVICE}@"));
    let secret = format!("whsec_{SIGNING}");
    let mut variables = vec![
        ("BROKER_URL", broker_url.as_str()),
        ("AUTHORIZATION_SERVICE_URL", &acl_url),
        ("CALLBACK_SIGNING_SECRET", &secret),
    ];
    variables.extend(redis_at);
    let worker = run.start(WORKER, &["worker", "-l", "INFO"], &variables);
    worker.wait_for_line(" ready.", START).await;

    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(
        run.ask("PUT", &format!("{acl}/station/{first}/driver/{TOKEN}/acl"))
            .await,
        200
    );
    let with_password = format!("http://{USER}:{CALLBACK}@127.0.0.1:{}/", target.port());
    assert_eq!(run.ask("GET", &authorize(&api, first, &with_password)).await, 200);
    let call = target.wait_for_station(&first.to_string(), SETTLE).await;
    assert!(call.header("authorization").is_some() && call.header("webhook-signature").is_some());
    assert_eq!(call.json()["status"], "allowed");
    assert_eq!(
        run.ask("GET", &authorize(&api, second, &redirecting.url("/")))
            .await,
        200
    );
    target.wait_for_station(&second.to_string(), SETTLE).await;
    run.ask("GET", &format!("http://{admin_address}/readyz")).await;

    // The next worker uses a proxy that needs a login. The first worker would also take the message.
    let (_, direct) = run.processes.last().expect("the worker");
    direct.signal(Signal::TERM);
    direct.wait_exit(WAIT).await;
    variables.push(("http_proxy", &proxy_url));
    let worker = run.start(WORKER, &["worker", "-l", "INFO"], &variables);
    worker.wait_for_line(" ready.", START).await;
    let third = Uuid::new_v4();
    assert_eq!(
        run.ask("GET", &authorize(&api, third, "http://203.0.113.7/"))
            .await,
        200
    );
    let call = proxy.wait_for_station(&third.to_string(), SETTLE).await;
    assert!(call.header("proxy-authorization").is_some());
}

/// Runs the programs with wrong passwords, closed ports and missing servers.
async fn all_is_wrong(run: &mut Run) {
    let vhost = Broker::shared().await.vhost("secrets-wrong").await;
    let closed = free_port();
    let wrong = format!("amqp://{USER}:{WRONG}@{}/{}", vhost.address(), vhost.name());
    let nowhere = format!("amqp://{USER}:{BROKER}@127.0.0.1:{closed}//");
    let admin = free_port();
    let admin_address = format!("127.0.0.1:{admin}");
    let ready = format!("http://{admin_address}/readyz");
    for (broker, program) in [
        (&wrong, API),
        (&nowhere, API),
        (&wrong, WORKER),
        (&nowhere, WORKER),
    ] {
        let variables = [("BROKER_URL", broker.as_str()), ("ADMIN_ADDRESS", &admin_address)];
        if program == API {
            let api = run.serve(API, free_port(), &variables).await;
            let url = authorize(&api, Uuid::new_v4(), "http://127.0.0.1:9/");
            assert_eq!(run.ask("GET", &url).await, 503);
        } else {
            let worker = run.start(WORKER, &["worker", "-l", "INFO"], &variables);
            worker.wait_for_line("consumer: ", WAIT).await;
        }
        assert_eq!(run.ask("GET", &ready).await, 503);
        let (_, process) = run.processes.last().expect("one was started");
        process.signal(Signal::TERM);
        process.wait_exit(WAIT).await;
    }

    let acl = run
        .serve(
            ACL,
            free_port(),
            &[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", "1")],
        )
        .await;
    let acl = format!("{acl}/station/{}/driver/{TOKEN}/acl", Uuid::new_v4());
    assert_eq!(run.ask("GET", &acl).await, 503);

    // The ACL service, audit log, proxy and callback receiver of this worker are all down.
    let api = run
        .serve(API, free_port(), &[("BROKER_URL", &vhost.amqp_url())])
        .await;
    let callback = format!("http://{USER}:{CALLBACK}@127.0.0.1:{closed}/");
    let broker_url = vhost.amqp_url();
    let acl_url = format!("http://{USER}:{ACL_SERVICE}@127.0.0.1:{closed}");
    let elastic_url = format!("http://127.0.0.1:{closed}");
    let proxy_url = format!("http://{USER}:{PROXY}@127.0.0.1:{closed}");
    let variables = [
        ("BROKER_URL", broker_url.as_str()),
        ("AUTHORIZATION_SERVICE_URL", &acl_url),
        ("ELASTICSEARCH_URL", &elastic_url),
        ("ELASTIC_PASSWORD", ELASTIC),
        ("http_proxy", &proxy_url),
    ];
    for proxied in [true, false] {
        let variables = if proxied { &variables[..] } else { &variables[..4] };
        let worker = run.start(WORKER, &["worker", "-l", "INFO"], variables);
        worker.wait_for_line(" ready.", START).await;
        assert_eq!(
            run.ask("GET", &authorize(&api, Uuid::new_v4(), &callback)).await,
            200
        );
        let (_, worker) = run.processes.last().expect("the worker");
        worker.wait_for_line("succeeded in", WAIT).await;
        worker.wait_for_line("records go to the spool", WAIT).await;
        worker.signal(Signal::TERM);
        worker.wait_exit(WAIT).await;
    }
}

/// Runs the programs with invalid variables, each containing a password. Returns when every program has
/// logged something.
async fn all_is_mistaken(run: &mut Run) {
    let first = run.processes.len();
    let amqp = format!("amqp://{USER}:{BROKER}@h:99999/");
    let proxy = format!("socks5://{USER}:{PROXY}@proxy");
    let bad_port = format!("http://{USER}:{PROXY}@proxy:99999");
    let acl = format!("http://{USER}:{ACL_SERVICE}@h:port");
    let elastic = format!("http://elastic:{ELASTIC}@h:port");
    let secret = format!("whsec_{SIGNING}{SIGNING}{SIGNING}");
    let mistakes = [
        ("BROKER_URL", amqp.as_str()),
        ("AUTHORIZATION_SERVICE_URL", &acl),
        ("ELASTICSEARCH_URL", &elastic),
        ("CALLBACK_SIGNING_SECRET", &secret),
        ("HTTP_PROXY", &proxy),
        ("https_proxy", &bad_port),
    ];
    for mistake in mistakes {
        run.start(WORKER, &["worker"], &[mistake]);
    }
    run.start(WORKER, &["worker", "-b", &amqp], &[]);
    run.start(API, &[], &mistakes[..1]);
    run.start(
        STANDALONE,
        &["--api-port", "0", "--acl-port", "0"],
        &mistakes[3..4],
    );
    run.start(
        STANDALONE,
        &["--api-port", "0", "--acl-port", "0"],
        &mistakes[5..],
    );
    for (program, process) in &run.processes[first..] {
        eventually(format!("words of {program}"), WAIT, || async {
            if process.lines().is_empty() {
                Err("none yet".to_owned())
            } else {
                Ok(())
            }
        })
        .await;
    }
}

/// Runs all cases and returns a summary of what was scanned.
async fn everything(log: Option<&'static str>, secrets: &[&str]) -> String {
    let mut run = Run {
        log,
        processes: Vec::new(),
        answers: Vec::new(),
    };
    all_is_well(&mut run).await;
    all_is_wrong(&mut run).await;
    all_is_mistaken(&mut run).await;
    let programs = run.processes.len();
    let answers = run.answers.len();
    let size = run.hides(secrets).await;
    format!("{programs} programs wrote {size} bytes and gave {answers} answers, RUST_LOG {log:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_and_no_token_is_in_the_usual_log() {
    let mut secrets = PASSWORDS.to_vec();
    secrets.push(TOKEN);
    println!("no secret: {}", everything(None, &secrets).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_in_the_log_of_everything() {
    println!("no secret: {}", everything(Some("trace"), &PASSWORDS).await);
}

/// The scan finds the secrets in their disguises.
#[test]
fn disguises_are_seen_through() {
    for shown in [
        "x brokerPa55-marked y",
        "authorization: Basic bWU6YnJva2VyUGE1NS1tYXJrZWQ=",
        "[98, 114, 111, 107, 101, 114, 80, 97, 53, 53, 45, 109, 97, 114, 107, 101, 100]",
    ] {
        let seen = std::panic::catch_unwind(|| assert_hides("a log", shown, &PASSWORDS));
        assert!(seen.is_err(), "{shown}");
    }
}
