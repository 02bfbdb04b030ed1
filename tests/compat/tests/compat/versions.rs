//! Tests of other Celery versions in both directions, of a queue shared with our worker, and of an authorization in which
//! one service uses that version.

use std::time::Duration;

use celery_protocol::{Compression, Dict, Embed, IsoTime, Signature, TaskCall, Value};
use celery_runtime::{Producer, ProducerConfig, sender};
use harness::{Broker, Process, Receiver, Redis, Reply, Service, Vhost, eventually, free_port, http};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::demo::{self, Results};
use crate::table::{CELERY, Column};
use crate::venv;

/// The time limit for a single event, even on a busy machine.
const WAIT: Duration = Duration::from_mins(2);

/// The time limit for a whole program with many calls.
const CALLS: Duration = Duration::from_mins(10);

const TO_RUST: &str = "Python → Rust";
const TO_PYTHON: &str = "Rust → Python";
const TOGETHER: &str = "both on one queue";
const AUTHORIZE: &str = "authorization";
const INSPECT: &str = "inspect";

#[tokio::test(flavor = "multi_thread")]
async fn celery_5_2_7() {
    interoperates("5.2.7").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-versions"]
async fn celery_5_3_6() {
    interoperates("5.3.6").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-versions"]
async fn celery_5_4_0() {
    interoperates("5.4.0").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-versions"]
async fn celery_5_5_3() {
    interoperates("5.5.3").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-versions"]
async fn celery_5_6_3() {
    interoperates("5.6.3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn celery_5_7_0() {
    interoperates("5.7.0").await;
}

async fn interoperates(version: &str) {
    let mut column = Column::default();
    let vhost = Broker::shared().await.vhost(&format!("celery-{version}")).await;
    let redis = Redis::start().await;
    let results = Results::redis(&redis);
    inspect(version, &vhost, &results, &mut column).await;

    let _rust = demo::rust_worker_on(&vhost, "rust", &results).await;
    let _rpc = demo::rust_worker_on(&vhost, "rust-rpc", &Results::rpc()).await;
    let python = demo::python_worker_on(version, &vhost, "python,celery", &results).await;
    column.extend(TO_RUST, &calls(version, &vhost, "rust", &results).await);
    let over_rpc = calls(version, &vhost, "rust-rpc", &Results::rpc()).await;
    for (case, outcome) in &over_rpc {
        column.add(
            TO_RUST,
            &format!("{case}, result over rpc://"),
            outcome.as_str().unwrap_or_default(),
        );
    }
    to_python(&vhost, &redis, &mut column).await;
    together(version, &vhost, &python, &results, &mut column).await;
    authorize(version, &mut column).await;
    column.settle(CELERY, version);
}

/// Runs demo/calls.py with this version on a queue.
async fn calls(
    version: &str,
    vhost: &Vhost,
    queue: &str,
    results: &Results,
) -> serde_json::Map<String, Json> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/calls.py");
    let program = venv::spawn(
        version,
        "python",
        &[path, queue],
        &demo::variables(vhost, results).each_ref().map(borrowed),
    );
    let status = program.wait_exit(CALLS).await;
    assert!(status.success(), "{status}:\n{}", program.tail());
    match serde_json::from_str(&program.stdout().join("\n")) {
        Ok(Json::Object(cases)) => cases,
        other => panic!("{other:?}\n{}", program.tail()),
    }
}

fn borrowed<'a>((name, value): &'a (&'static str, String)) -> (&'static str, &'a str) {
    (*name, value)
}

/// A call, and its expected outcome in a Python worker: the result, or the class and message of the exception.
struct Sent {
    case: &'static str,
    call: TaskCall,
    id: String,
    expected: Json,
}

impl Sent {
    fn new(case: &'static str, call: TaskCall, expected: Json) -> Self {
        Self {
            case,
            id: call.id.clone(),
            call,
            expected,
        }
    }

    /// Expects the outcome of a task that follows instead of the call's own.
    fn followed_by(self, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..self
        }
    }
}

pub(crate) fn call(task: &str, args: Vec<Value>) -> TaskCall {
    TaskCall::new(task, Uuid::new_v4().to_string(), sender()).with_args(args)
}

pub(crate) fn numbers(numbers: &[i64]) -> Vec<Value> {
    numbers.iter().copied().map(Value::from).collect()
}

/// A signature for the queue `python` with an id that we choose.
fn signature(task: &str, args: Vec<Value>, id: &str) -> Signature {
    let mut signature = Signature::new(task, args, Dict::new()).into_dict();
    let options = [("queue", Value::from("python")), ("task_id", Value::from(id))];
    signature.insert("options", Value::Dict(Dict::from_iter(options)));
    Signature::from_value(Value::Dict(signature)).expect("a signature")
}

fn sends(now: Timestamp) -> Vec<Sent> {
    let add = || call("demo.add", numbers(&[1, 2]));
    let station = Uuid::from_u128(0x123e_4567_e89b_12d3_a456_4266_1417_4000);
    let typed = json!({"__type__": "uuid", "__value__": {"hex": "123e4567e89b12d3a456426614174000"}});
    let mut expired = add();
    expired.expires = Some(IsoTime::from(now - Duration::from_mins(1)).isoformat());
    let mut retried = call("demo.retries", vec![]);
    retried.retries = 2;
    let mut urgent = add();
    urgent.priority = Some(5);
    let compressed = |compression| TaskCall {
        compression: Some(compression),
        ..add()
    };
    let followed = |task: &str, embed: Embed| TaskCall {
        embed,
        ..call(
            task,
            if task == "demo.add" {
                numbers(&[1, 2])
            } else {
                vec![]
            },
        )
    };
    let [linked, told, last] = [(); 3].map(|()| Uuid::new_v4().to_string());
    let link = Embed {
        callbacks: Some(vec![signature("demo.add", numbers(&[3]), &linked)]),
        ..Embed::default()
    };
    let errback = Embed {
        errbacks: Some(vec![signature("demo.told", vec![], &told)]),
        ..Embed::default()
    };
    // The next step is the last item.
    let steps = Embed {
        chain: Some(vec![
            signature("demo.add", numbers(&[4]), &last),
            signature("demo.add", numbers(&[3]), &Uuid::new_v4().to_string()),
        ]),
        ..Embed::default()
    };
    let failing = followed("demo.fail", errback);
    let failed = failing.id.clone();
    vec![
        Sent::new(
            "UUID argument",
            call("demo.echo", vec![Value::Uuid(station)]),
            json!([[typed], {}]),
        ),
        Sent::new(
            "text, float, null, nesting",
            call(
                "demo.echo",
                vec![
                    Value::from("é\u{2028}😀"),
                    Value::Float(1.5),
                    Value::None,
                    Value::List(vec![Value::Bool(true)]),
                ],
            ),
            json!([["é\u{2028}😀", 1.5, null, [true]], {}]),
        ),
        Sent::new(
            "keyword arguments",
            call("demo.add", vec![])
                .with_kwargs(Dict::from_iter([("x", Value::from(1)), ("y", Value::from(2))])),
            json!(3),
        ),
        Sent::new(
            "countdown",
            call("demo.due", vec![]).with_countdown(1.0, now),
            json!(true),
        ),
        Sent::new("expired", expired, json!("TaskRevokedError")),
        Sent::new("not yet expired", add().with_expires_in(60.0, now), json!(3)),
        Sent::new("callback (`link`)", followed("demo.add", link), json!(6)).followed_by(&linked),
        Sent::new("error callback (`link_error`)", failing, json!(failed)).followed_by(&told),
        Sent::new("chain", followed("demo.add", steps), json!(10)).followed_by(&last),
        Sent::new(
            "retry",
            call("demo.again", vec![Value::from("word")]),
            json!(["word", 1]),
        ),
        Sent::new("retries given", retried, json!(2)),
        Sent::new("failure", call("demo.fail", vec![]), json!("ValueError: no")),
        Sent::new("zlib", compressed(Compression::Zlib), json!(3)),
        Sent::new("bzip2", compressed(Compression::Bzip2), json!(3)),
        Sent::new("priority", urgent, json!(3)),
        Sent::new(
            "unknown task",
            call("no.such", vec![]),
            json!("NotRegistered: no.such"),
        ),
        Sent::new(
            "wrong arguments",
            call("demo.add", numbers(&[1, 2, 3])),
            json!("TypeError: add() takes 2 positional arguments but 3 were given"),
        ),
    ]
}

async fn to_python(vhost: &Vhost, redis: &Redis, column: &mut Column) {
    let producer = producer(vhost, "python");
    for Sent {
        case,
        call,
        id,
        expected,
    } in sends(Timestamp::now())
    {
        producer.send(&call).await.expect("the broker takes it");
        let found = result(redis, &id).await;
        let outcome = if found == expected {
            "yes".to_owned()
        } else {
            format!("no: {found}")
        };
        column.add(TO_PYTHON, case, outcome);
    }
    producer.close().await;
}

/// The outcome that a worker has stored for a task: its result, or its exception.
pub(crate) async fn result(redis: &Redis, id: &str) -> Json {
    let key = format!("celery-task-meta-{id}");
    eventually(format!("a result of {id}"), WAIT, || async {
        let text = redis.get(&key).await.ok_or("no result yet")?;
        let meta: Json = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let exception = |field: &str| meta["result"][field].clone();
        match meta["status"].as_str() {
            Some("SUCCESS") => Ok(meta["result"].clone()),
            Some("FAILURE") => {
                let [class, words] = [exception("exc_type"), exception("exc_message")[0].clone()];
                let text = |value: Json| value.as_str().unwrap_or_default().to_owned();
                Ok(Json::from(format!("{}: {}", text(class), text(words))))
            }
            Some("REVOKED") => Ok(exception("exc_type")),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

pub(crate) fn producer(vhost: &Vhost, queue: &str) -> Producer {
    Producer::start(ProducerConfig {
        broker: vhost.amqp_url().parse().expect("a broker URL"),
        queue: queue.to_owned(),
        deadline: WAIT,
        name: "compat".to_owned(),
    })
}

/// Runs both workers on the queue `celery`: every task runs once, and each worker gets some of them.
async fn together(version: &str, vhost: &Vhost, python: &Process, results: &Results, column: &mut Column) {
    const COUNT: usize = 100;
    let rust = demo::rust_worker_on(vhost, "celery", results).await;
    let program = format!(
        "from opsapp import app, add\n\
         results = [add.apply_async((i, 1), queue='celery') for i in range({COUNT})]\n\
         print(sum(result.get(timeout=120) == i + 1 for i, result in enumerate(results)))"
    );
    let known = succeeded(python);
    let variables = demo::variables(vhost, results);
    let program = venv::spawn(
        version,
        "python",
        &["-c", &program],
        &variables.each_ref().map(borrowed),
    );
    let status = program.wait_exit(CALLS).await;
    assert!(status.success(), "{status}:\n{}", program.tail());
    let right = program.stdout().join("\n");
    let shares = eventually("all runs in the logs", WAIT, || async {
        let shares = [succeeded(&rust), succeeded(python) - known];
        if shares.iter().sum::<usize>() < COUNT {
            return Err(format!("{shares:?}"));
        }
        Ok(shares)
    })
    .await;
    let is_right = right.trim() == COUNT.to_string() && shares.iter().sum::<usize>() == COUNT;
    let outcome = if is_right && !shares.contains(&0) {
        "yes".to_owned()
    } else {
        format!("no: {right} right, {shares:?} run")
    };
    column.add(TOGETHER, "100 tasks, each run once, some by each", outcome);
}

fn succeeded(worker: &Process) -> usize {
    let lines = worker.stderr();
    lines
        .iter()
        .filter(|line| line.contains("] succeeded in "))
        .count()
}

/// Runs one authorization with the public API of this version and our worker, and one the other way round.
async fn authorize(version: &str, column: &mut Column) {
    let acl = Receiver::start_with(|_| Reply::json(&json!({"authorized": 1}))).await;
    for (case, worker_version, api_version) in [
        ("Python API, Rust worker", None, Some(version)),
        ("Rust API, Python worker", Some(version), None),
    ] {
        let vhost = Broker::shared()
            .await
            .vhost(&format!("authorize-{version}"))
            .await;
        let redis = Redis::start().await;
        let _worker = worker(worker_version, &vhost, &acl, &redis).await;
        let api = api(api_version, &vhost).await;
        let callbacks = Receiver::start().await;
        let station = Uuid::new_v4().to_string();
        let url = format!(
            "{}/station/{station}/driver/validDriverToken-0001/authorize",
            api.url()
        );
        let answer = http::get(&format!("{url}?callback_url={}", callbacks.url("/done"))).await;
        assert_eq!(answer.status, 200, "{case}");
        let callback = callbacks.wait_for(1, WAIT).await.remove(0);
        let record = eventually("a record", WAIT, || async {
            let mut records = redis.audit_records().await;
            records.pop().ok_or("none".to_owned())
        })
        .await;
        let found = [
            callback.field("station_id"),
            callback.field("status"),
            record.field("station_id").to_owned(),
        ];
        let outcome = match found {
            [called, status, recorded] if called == station && status == "allowed" && recorded == station => {
                "yes".to_owned()
            }
            [called, status, _] if called.starts_with("{'__type__': 'uuid'") && status == "allowed" => {
                "no: the typed UUID is called back as it is".to_owned()
            }
            other => format!("no: {other:?}"),
        };
        column.add(AUTHORIZE, case, outcome);
    }
}

async fn worker(version: Option<&str>, vhost: &Vhost, acl: &Receiver, redis: &Redis) -> Process {
    let variables = [
        ("BROKER_URL", vhost.amqp_url()),
        ("AUTHORIZATION_SERVICE_URL", acl.url("")),
        ("REDIS_HOST", "127.0.0.1".to_owned()),
        ("REDIS_PORT", redis.port().to_string()),
    ];
    let variables = variables.each_ref().map(borrowed);
    let arguments = [
        "-A",
        "authorization_worker.tasks",
        "worker",
        "--loglevel=INFO",
        "--concurrency=1",
    ];
    let worker = match version {
        Some(version) => venv::spawn(version, "celery", &arguments, &variables),
        None => Process::spawn(env!("CARGO_BIN_EXE_compat-worker"), arguments, variables),
    };
    worker.wait_for_line(" ready.", demo::START).await;
    worker
}

async fn api(version: Option<&str>, vhost: &Vhost) -> Service {
    let port = free_port();
    let variables = [
        ("BROKER_URL", vhost.amqp_url()),
        ("FLASK_RUN_PORT", port.to_string()),
        ("AUTHORIZATION_TIMEOUT_SEC", "60".to_owned()),
    ];
    let variables = variables.each_ref().map(borrowed);
    let process = match version {
        Some(version) => venv::spawn(version, "flask", &["--app", "public_api", "run"], &variables),
        None => Process::spawn(env!("CARGO_BIN_EXE_compat-public-api"), [""; 0], variables),
    };
    Service::start(process, port).await
}

/// Tests remote control: our node does not take part in it yet, and does not disturb the workers that do.
async fn inspect(version: &str, vhost: &Vhost, results: &Results, column: &mut Column) {
    const NO_REPLY: i32 = 69;
    let rust = demo::rust_worker_on(vhost, "inspected", results).await;
    let alone = ping(version, vhost, results, &[]);
    let outcome = match alone.wait_exit(WAIT).await.code() {
        Some(NO_REPLY) => "no reply".to_owned(),
        other => format!("no: exit code {other:?}"),
    };
    column.add(INSPECT, "our node answers `inspect ping`", outcome);
    let _python = demo::python_worker_on(version, vhost, "beside", results).await;
    // If the worker is named, `inspect` returns as soon as it has answered.
    let named = ["--destination=python@localhost", "--timeout=60"];
    let beside = ping(version, vhost, results, &named);
    let status = beside.wait_exit(WAIT).await;
    let answers = beside.stdout().concat();
    let outcome = if status.success() && answers.contains("python@localhost") && rust.try_exit().is_none() {
        "yes".to_owned()
    } else {
        format!("no: {status}, {answers}")
    };
    column.add(
        INSPECT,
        "a Python worker beside our node answers `inspect ping`",
        outcome,
    );
}

fn ping(version: &str, vhost: &Vhost, results: &Results, options: &[&str]) -> Process {
    let variables = demo::variables(vhost, results);
    let arguments = [&["-A", "opsapp", "inspect", "ping"], options].concat();
    venv::spawn(version, "celery", &arguments, &variables.each_ref().map(borrowed))
}
