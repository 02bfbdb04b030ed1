//! Results as Python programs read them: a Rust and a Python worker side by side, each on its own queue.

use std::path::PathBuf;
use std::time::Duration;

use celery_protocol::{BigInt, Dict, Text, Value, json};
use celery_runtime::{
    Registry, Shutdown, ShutdownHandle, Status, TaskError, TaskOptions, TaskResult, Worker, WorkerConfig,
};
use harness::{Broker, Depth, Process, Redis, Vhost, eventually, python};
use jiff::Timestamp;
use serde_json::Value as Json;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Limit for events that must happen eventually, also on a busy machine.
const WAIT: Duration = Duration::from_mins(2);

/// Limit for a whole program with many calls.
const CALLS: Duration = Duration::from_mins(10);
const NODE: &str = "celery@rust";

/// A broker and a backend, with a Rust worker on the queue `rust` and, if requested, a Python worker on the queue
/// `python`.
struct Rig {
    vhost: Vhost,
    backend: String,
    python: Option<Process>,
    stop: ShutdownHandle,
    worker: JoinSet<u8>,
}

impl Rig {
    async fn start(name: &str, backend: &str, with_python: bool) -> Self {
        let vhost = Broker::shared().await.vhost(name).await;
        let mut config = WorkerConfig::new(vhost.amqp_url().parse().expect("a broker URL"), NODE);
        config.queues = vec!["rust".to_owned()];
        config.drain_timeout = Duration::from_secs(3);
        config.result_backend = backend.parse().expect("a result backend");
        let (stop, shutdown) = Shutdown::manual();
        let worker = Worker::new(config, registry());
        let mut status = worker.status();
        let mut running = JoinSet::new();
        running.spawn(worker.run(shutdown));
        let mut rig = Self {
            vhost,
            backend: backend.to_owned(),
            python: None,
            stop,
            worker: running,
        };
        if with_python {
            let arguments = [
                "-A",
                "tasks",
                "worker",
                "-Q",
                "python",
                "-c",
                "2",
                "-n",
                "celery@python",
            ];
            let worker = python::spawn(
                "celery",
                &[&arguments[..], &["-l", "INFO"]].concat(),
                &rig.variables(),
            );
            worker.wait_for_line(" ready.", WAIT).await;
            rig.python = Some(worker);
        }
        tokio::time::timeout(WAIT, status.wait_for(|status| *status == Status::Consuming))
            .await
            .expect("the worker consumes in time")
            .expect("the worker lives");
        rig
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        const TASKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runtime/result_backend");
        // It is leaked, which is harmless for the few strings of a test.
        let broker: &'static str = self.vhost.amqp_url().leak();
        vec![
            ("PYTHONPATH", TASKS),
            ("BROKER_URL", broker),
            ("RESULT_BACKEND", self.backend.as_str()),
        ]
    }

    /// Returns the results that a Python program gets when it calls the tasks.
    async fn calls(&self, what: &str) -> Json {
        self.calls_with(what, &self.variables()).await
    }

    /// Returns the same for a program without a result backend.
    async fn calls_without_backend(&self, what: &str) -> Json {
        let mut variables = self.variables();
        variables.push(("RESULT_BACKEND", "disabled://"));
        self.calls_with(what, &variables).await
    }

    async fn calls_with(&self, what: &str, variables: &[(&str, &str)]) -> Json {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/runtime/result_backend/calls.py");
        let path = path.to_str().expect("a path");
        let program = python::spawn("python", &[path, what], variables);
        let status = program.wait_exit(CALLS).await;
        assert!(status.success(), "{status}:\n{}", program.tail());
        serde_json::from_str(&program.stdout().join("\n")).expect("JSON")
    }

    /// Waits until `ready` messages of the Rust worker's queue are ready, and `unacked` are with the worker.
    async fn queue_is(&self, ready: u64, unacked: u64) {
        eventually(format!("{ready} ready and {unacked} unacked"), WAIT, || async {
            match self.vhost.queue("rust").await {
                depth @ Depth { .. } if (depth.ready, depth.unacked) == (ready, unacked) => Ok(()),
                depth => Err(format!("{depth:?}")),
            }
        })
        .await;
    }

    async fn stopped(mut self) {
        self.stop.warm();
        let ended = tokio::time::timeout(WAIT, self.worker.join_next())
            .await
            .expect("an end in time");
        assert_eq!(ended.expect("a worker").expect("no panic in the worker"), 0);
    }
}

/// Returns the tasks of `result_backend/tasks.py`.
fn registry() -> Registry {
    let mut registry = Registry::new();
    let named = |name: &str| TaskOptions::named(format!("tasks.{name}"));
    registry.register(named("value"), |request| async move {
        Ok(value(
            argument(request.message().positional(), 0)
                .as_str()
                .unwrap_or_default(),
        ))
    });
    registry.register(named("add"), |request| async move {
        let (args, kwargs) = (request.message().positional(), request.message().keywords());
        let delay = kwargs
            .and_then(|kwargs| kwargs.get("delay"))
            .and_then(Value::as_i64)
            .unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(delay.unsigned_abs())).await;
        match (argument(args, 0).as_i64(), argument(args, 1).as_i64()) {
            (Some(x), Some(y)) => Ok(Value::from(x + y)),
            _ => Err(TaskError::raised(
                "TypeError",
                r#"can only concatenate str (not "int") to str"#,
            )),
        }
    });
    registry.register(named("fail"), |request| async move {
        failure(
            argument(request.message().positional(), 0)
                .as_str()
                .unwrap_or_default(),
        )
    });
    let ignored = TaskOptions {
        ignore_result: true,
        ..named("ignored")
    };
    registry.register(ignored, |_| async { Ok(Value::from(1)) });
    let ignored_error = TaskOptions {
        ignore_result: true,
        store_errors_even_if_ignored: true,
        ..named("ignored_error")
    };
    registry.register(ignored_error, |_| async {
        Err(TaskError::raised("ValueError", "boom"))
    });
    let started = TaskOptions {
        track_started: true,
        ..named("started")
    };
    registry.register(started, |_| async { Ok(Value::from(1)) });
    let retry = TaskOptions {
        max_retries: Some(1),
        ..named("retry")
    };
    registry.register(retry, |request| async move {
        let because = argument(request.message().positional(), 0).is_truthy();
        let retry = celery_runtime::Retry {
            exception: because.then(|| celery_runtime::Exception::new("ValueError", "again")),
            ..celery_runtime::Retry::default()
        };
        Err(retry.after(Duration::from_secs(8)).into())
    });
    registry.register(named("reject"), |_| async {
        Err(TaskError::Reject {
            requeue: false,
            reason: "why".to_owned(),
        })
    });
    registry.register(named("ignore"), |_| async { Err(TaskError::Ignore) });
    let soft = TaskOptions {
        soft_time_limit: Some(Duration::from_secs(1)),
        ..named("soft")
    };
    registry.register(soft, |request| async move {
        request.soft_time_limit().cancelled().await;
        Err(TaskError::soft_time_limit_exceeded())
    });
    let hard = TaskOptions {
        time_limit: Some(Duration::from_secs(1)),
        ..named("hard")
    };
    registry.register(hard, |_| std::future::pending());
    registry.register(named("total"), |request| async move {
        let numbers = argument(request.message().positional(), 0);
        let numbers = numbers
            .as_list()
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_i64);
        Ok(Value::from(numbers.sum::<i64>()))
    });
    for name in ["echo", "told"] {
        registry.register(named(name), |request| async move {
            Ok(argument(request.message().positional(), 0))
        });
    }
    registry
}

fn argument(args: Option<&[Value]>, index: usize) -> Value {
    args.and_then(|args| args.get(index))
        .cloned()
        .unwrap_or(Value::None)
}

fn value(kind: &str) -> Value {
    let nested = Dict::from_iter([("c", true)]);
    match kind {
        "int" => Value::from(3),
        "big" => BigInt::parse(&format!("1{}", "0".repeat(30))).expect("an integer"),
        "float" => Value::from(0.1),
        "nan" => Value::from(f64::NAN),
        "text" => Value::from(Text::from_wtf8(b"\xc3\xa9\"\xed\xa0\x80".to_vec()).expect("WTF-8")),
        "bytes" => Value::Bytes(b"\x00\xffa".to_vec()),
        "list" => Value::List(vec![
            Value::from(1),
            Value::from("a"),
            Value::List(vec![Value::None]),
        ]),
        "dict" => Value::Dict(Dict::from_iter([
            ("b", Value::from(1)),
            ("a", Value::Dict(nested)),
        ])),
        "uuid" => Value::from(Uuid::from_u128(5)),
        "datetime" => Value::DateTime("2020-01-02T03:04:05.000006+00:00".to_owned()),
        "naive" => Value::DateTime("2020-01-02T03:04:05".to_owned()),
        "date" => Value::Date("2020-01-02".to_owned()),
        "time" => Value::Time("03:04:05".to_owned()),
        "decimal" => Value::Decimal("1.10".to_owned()),
        _ => Value::None,
    }
}

fn failure(kind: &str) -> TaskResult {
    let exception = match kind {
        "two" => {
            celery_runtime::Exception::with_args("ValueError", vec![Value::from("boom"), Value::from(2)])
        }
        "none" => celery_runtime::Exception::with_args("ValueError", Vec::new()),
        "custom" => celery_runtime::Exception::new("tasks.Custom", "boom"),
        "runtime" => celery_runtime::Exception::new("RuntimeError", "é'"),
        _ => celery_runtime::Exception::new("ValueError", "boom"),
    };
    Err(exception.into())
}

/// Masks the parts of the text that differ from run to run, after checking each: the id is the one that was called,
/// the task ended just now, and a traceback begins and ends like Python's.
fn masked(raw: &str, id: &str, last_line: Option<&str>) -> String {
    let meta = json::parse(raw.as_bytes()).expect("JSON");
    let field = |name| {
        meta.as_dict()
            .and_then(|meta| meta.get(name))
            .and_then(Value::as_str)
    };
    assert_eq!(field("task_id"), Some(id), "{raw}");
    let mut masked = raw.replace(&Json::from(id).to_string(), "<id>");
    if let Some(date) = field("date_done") {
        assert!(date.ends_with("+00:00"), "{raw}");
        let age = Timestamp::now().as_second() - date.parse::<Timestamp>().expect("a time").as_second();
        assert!((0..600).contains(&age), "{raw}");
        masked = masked.replace(date, "<now>");
    }
    if let Some(traceback) = field("traceback") {
        let lines: Vec<&str> = traceback.lines().collect();
        assert_eq!(
            lines.first(),
            Some(&"Traceback (most recent call last):"),
            "{raw}"
        );
        assert!(lines.len() > 2 && traceback.ends_with('\n'), "{raw}");
        if let Some(last) = last_line {
            assert_eq!(lines.last(), Some(&last), "{raw}");
        }
        let (before, rest) = masked.split_once("\"traceback\": \"").expect("a traceback");
        let (_, after) = rest.split_once("\", \"children\"").expect("children");
        masked = format!("{before}\"traceback\": <traceback>, \"children\"{after}");
    }
    masked
}

/// Returns the last line of a traceback.
fn last_line(raw: &str) -> Option<String> {
    let meta = json::parse(raw.as_bytes()).expect("JSON");
    Some(
        meta.as_dict()?
            .get("traceback")?
            .as_str()?
            .lines()
            .last()?
            .to_owned(),
    )
}

fn text<'j>(json: &'j Json, path: &str) -> &'j str {
    json.pointer(path)
        .and_then(Json::as_str)
        .unwrap_or_else(|| panic!("no text at {path} in {json}"))
}

/// The Rust worker stores the same bytes for a task as a Python worker, except for ids, times and tracebacks; and
/// `get()` cannot tell them apart.
#[tokio::test(flavor = "multi_thread")]
async fn redis_holds_the_bytes_that_a_python_worker_stores() {
    let redis = Redis::start().await;
    let rig = Rig::start("results", &format!("redis://127.0.0.1:{}/3", redis.port()), true).await;
    let pairs = rig.calls("pairs").await;
    let pairs = pairs.as_object().expect("an object");
    for (name, pair) in pairs {
        let (python, rust) = (&pair["python"], &pair["rust"]);
        let expected = last_line(text(python, "/raw"));
        assert_eq!(
            masked(text(rust, "/raw"), text(rust, "/id"), expected.as_deref()),
            masked(text(python, "/raw"), text(python, "/id"), None),
            "{name}"
        );
        assert_eq!(text(rust, "/got"), text(python, "/got"), "{name}");
        for worker in [python, rust] {
            let ttl = worker["ttl"].as_i64().expect("a number");
            assert!((80_000..=86_400).contains(&ttl), "a day: {name}: {ttl}");
        }
    }
    println!("{} tasks on both workers", pairs.len());
    assert_eq!(pairs.len(), 29);
    for (name, expected) in [
        ("value uuid", "UUID('00000000-0000-0000-0000-000000000005')"),
        ("value decimal", "Decimal('1.10')"),
        ("value bytes", "b'\\x00\\xffa'"),
        (
            "value datetime",
            "datetime.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)",
        ),
        ("fail value", "builtins.ValueError('boom',)"),
        ("fail two", "builtins.ValueError('boom', 2)"),
        ("fail custom", "tasks.Custom('boom',)"),
        ("expired", "celery.exceptions.TaskRevokedError('expired',)"),
        ("hard", "billiard.exceptions.TimeLimitExceeded(1,)"),
    ] {
        assert_eq!(pairs[name]["rust"]["got"], *expected, "{name}");
    }
    rig.stopped().await;
}

/// If the message or the task ignores results, or the task ends with `Ignore`, nothing is stored.
#[tokio::test(flavor = "multi_thread")]
async fn ignored_results_are_not_stored() {
    let redis = Redis::start().await;
    let rig = Rig::start("ignored", &format!("redis://127.0.0.1:{}", redis.port()), false).await;
    let silent = rig.calls("silent").await;
    assert_eq!(silent["last"], 3);
    assert_eq!(silent["ids"].as_array().map(Vec::len), Some(4));
    let keys = silent["keys"].as_array().expect("a list");
    assert_eq!(keys.len(), 1, "only that of the last task: {silent}");
    rig.stopped().await;
}

/// Waiting clients are notified by a message on the key's channel, also of the start if the task is registered so.
#[tokio::test(flavor = "multi_thread")]
async fn states_are_published_as_they_are_stored() {
    let redis = Redis::start().await;
    let rig = Rig::start("tracked", &format!("redis://127.0.0.1:{}/1", redis.port()), true).await;
    let tracked = rig.calls("tracked").await;
    let published = |worker: &str| {
        let texts = tracked[worker]["published"].as_array().expect("a list");
        let texts: Vec<&str> = texts.iter().filter_map(Json::as_str).collect();
        let id = text(&tracked, &format!("/{worker}/id"));
        let [started, done] = texts[..] else {
            panic!("{tracked}")
        };
        assert_eq!(done, text(&tracked, &format!("/{worker}/stored")));
        let by: Json = serde_json::from_str(started).expect("JSON");
        let node = format!("celery@{worker}");
        assert_eq!(text(&by, "/result/hostname"), node);
        let pid = by["result"]["pid"].as_u64().expect("a number");
        assert_eq!(worker == "rust", pid == u64::from(std::process::id()));
        let started = started
            .replace(&node, "<node>")
            .replace(&format!("\"pid\": {pid}"), "\"pid\": <pid>");
        (masked_started(&started, id), masked(done, id, None))
    };
    assert_eq!(published("rust"), published("python"));
    rig.stopped().await;
}

/// Masks the id, as [`masked`] does, in a text that is not JSON any more.
fn masked_started(raw: &str, id: &str) -> String {
    assert!(raw.contains("\"date_done\": null"), "{raw}");
    raw.replace(id, "<id>")
}

/// With `rpc://`, `get()` works as with Redis, and replies are the same bytes as a Python worker's, except for ids,
/// times and tracebacks.
#[tokio::test(flavor = "multi_thread")]
async fn rpc_replies_equal_a_python_workers() {
    let rig = Rig::start("rpc", "rpc://", true).await;
    let found = rig.calls("over_rpc").await;
    for (name, expected) in [
        ("value uuid", "UUID('00000000-0000-0000-0000-000000000005')"),
        ("value decimal", "Decimal('1.10')"),
        ("value none", "None"),
        ("by name", "3"),
        ("not ignored", "1"),
        ("fail value", "builtins.ValueError('boom',)"),
        ("fail custom", "tasks.Custom('boom',)"),
        ("ignored error", "None"),
        ("reject", "celery.exceptions.Reject('why', False)"),
        ("soft", "billiard.exceptions.SoftTimeLimitExceeded()"),
        ("expired", "celery.exceptions.TaskRevokedError('expired',)"),
    ] {
        assert_eq!(found["got"][name], *expected, "{name}");
    }
    assert_eq!(found["got"].as_object().map(serde_json::Map::len), Some(29));
    for name in ["value uuid", "fail value", "reject", "expired", "member"] {
        let (python, rust) = (&found[format!("{name} python")], &found[format!("{name} rust")]);
        for reply in [python, rust] {
            assert_eq!(reply["properties"]["correlation_id"], reply["id"], "{name}");
        }
        let unmasked = |reply: &Json| {
            let mut properties = reply["properties"].clone();
            properties["correlation_id"] = Json::Null;
            (properties, reply["info"].clone())
        };
        assert_eq!(unmasked(rust), unmasked(python), "{name}");
        let expected = last_line(text(python, "/raw"));
        assert_eq!(
            masked(text(rust, "/raw"), text(rust, "/id"), expected.as_deref()),
            masked(text(python, "/raw"), text(python, "/id"), None),
            "{name}"
        );
    }
    assert_eq!(found["unasked"], false, "ignored results are not sent");
    rig.stopped().await;
}

/// A result that cannot be stored keeps its message unacked, and is stored when the backend is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_waits_for_its_backend() {
    let mut redis = Redis::start().await;
    let rig = Rig::start("outage", &format!("redis://127.0.0.1:{}", redis.port()), false).await;
    redis.freeze();
    rig.calls_without_backend("one").await;
    rig.queue_is(0, 1).await;
    redis.thaw();
    rig.queue_is(0, 0).await;
    assert_eq!(rig.calls("of_one").await, serde_json::json!(["3", null]));

    redis.stop().await;
    rig.calls_without_backend("one").await;
    rig.queue_is(0, 1).await;
    redis.start_again().await;
    rig.queue_is(0, 0).await;
    assert_eq!(rig.calls("of_one").await, serde_json::json!(["3", null]));
    rig.stopped().await;
}

/// A warm shutdown waits for a backend no longer than for a task; the message returns to its queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_does_not_wait_for_the_backend() {
    let redis = Redis::start().await;
    let rig = Rig::start("goodbye", &format!("redis://127.0.0.1:{}", redis.port()), false).await;
    redis.freeze();
    rig.calls_without_backend("one").await;
    rig.queue_is(0, 1).await;
    let vhost = rig.vhost.clone();
    rig.stopped().await;
    eventually("the message to be back", WAIT, || async {
        match vhost.queue("rust").await.ready {
            1 => Ok(()),
            ready => Err(format!("{ready} are ready")),
        }
    })
    .await;
    redis.thaw();
}

/// Replaces ids that are created during the run with `<0>`, `<1>`, … in the order of their first appearance.
fn numbered(text: &str, ids: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(candidate) = rest.get(..36) {
        if candidate.is_ascii() && candidate.parse::<Uuid>().is_ok() {
            let known = ids.iter().position(|id| id == candidate);
            let number = known.unwrap_or_else(|| {
                ids.push(candidate.to_owned());
                ids.len() - 1
            });
            out.extend(["<", &number.to_string(), ">"]);
            rest = &rest[36..];
        } else {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..next]);
            rest = &rest[next..];
        }
    }
    out + rest
}

/// Both workers store the same children of a task, steps of a chain, steps that fail with it, and retries.
#[tokio::test(flavor = "multi_thread")]
async fn children_chains_and_retries_are_stored_as_by_a_python_worker() {
    let redis = Redis::start().await;
    let rig = Rig::start("followers", &format!("redis://127.0.0.1:{}", redis.port()), true).await;
    let found = rig.calls("followers").await;
    let shown = |worker: &str| {
        let found = found[worker].as_object().expect("an object");
        let mut shown = Vec::new();
        for (name, stored) in found {
            let mut ids = Vec::new();
            let texts: Vec<&str> = match stored {
                Json::Array(texts) => texts.iter().filter_map(Json::as_str).collect(),
                stored => stored.as_str().into_iter().collect(),
            };
            for text in texts {
                let masked = match json::parse(text.as_bytes()) {
                    Ok(Value::Dict(meta)) => {
                        let id = meta.get("task_id").and_then(Value::as_str).expect("an id");
                        masked(text, id, None).replace("<id>", &Json::from(id).to_string())
                    }
                    _ => text.to_owned(),
                };
                shown.push(format!("{name}: {}", numbered(&masked, &mut ids)));
            }
        }
        (shown, found["linked"].clone())
    };
    let (python, rust) = (shown("python"), shown("rust"));
    for (python, rust) in python.0.iter().zip(&rust.0) {
        assert_eq!(rust, python);
    }
    assert_eq!((python.0.len(), &python.1), (rust.0.len(), &rust.1));
    assert_eq!(rust.0.len(), 14);
    assert_eq!(rust.1, serde_json::json!([[6], [[6, 7]]]));
    for name in ["retry because", "retry"] {
        let last = |worker: &str| last_line(text(&found[worker], &format!("/{name}")));
        assert_eq!(last("rust"), last("python"));
    }
    rig.stopped().await;
}

/// Headers whose tasks run on both kinds of workers are counted together, whichever returns last.
#[tokio::test(flavor = "multi_thread")]
async fn chords_of_both_workers_complete() {
    let redis = Redis::start().await;
    let rig = Rig::start("chords", &format!("redis://127.0.0.1:{}", redis.port()), true).await;
    let found = rig.calls("chords").await;
    let doubled: Vec<u32> = (0..60).map(|number| number * 2).collect();
    let six = "[0, 2, 4, 6, 8, 10]";
    for (name, expected) in [
        ("python last, body on python", six),
        ("python last, body on rust", six),
        ("rust last, body on python", six),
        ("rust last, body on rust", six),
        ("many", "3540"),
        ("rust alone", &format!("{doubled:?}")),
        ("one", "[2]"),
        (
            "typed",
            "[UUID('00000000-0000-0000-0000-000000000005'), Decimal('1.10'), None]",
        ),
        ("immutable body", "3"),
        ("body with link", "2"),
        // Celery numbers the tasks in a nested group from its end.
        ("nested group", "[2, 0, 6]"),
        ("nested group, python alone", "[2, 0, 6]"),
        ("chain in header", "[7, 4]"),
        ("chain as body", "102"),
        ("chord in header", "[2, 4]"),
        ("chord after task", "[3, 4]"),
    ] {
        assert_eq!(found[name], *expected, "{name}: {found}");
    }
    for marker in found["left"].as_array().expect("a list") {
        assert_eq!(marker[1], "done", "{found}");
    }
    assert_eq!(found["counters left"], serde_json::json!([]), "{found}");
    rig.stopped().await;
}

/// A failed header fails the body, whichever worker counts it, and calls its errbacks.
#[tokio::test(flavor = "multi_thread")]
async fn broken_chords_fail_their_bodies() {
    let redis = Redis::start().await;
    let rig = Rig::start("broken", &format!("redis://127.0.0.1:{}", redis.port()), true).await;
    let found = rig.calls("broken_chords").await;
    let chord_error = r#"celery.exceptions.ChordError("Dependency <failed> raised ValueError('boom')",)"#;
    let mut stored = Vec::new();
    for failing in ["python", "rust"] {
        for last in ["python", "rust"] {
            let case = &found[format!("{failing} fails, {last} last")];
            assert_eq!(text(case, "/got"), chord_error, "{failing} {last}");
            let expected = "celery.exceptions.ChordError: Dependency <failed> raised ValueError('boom')";
            assert_eq!(last_line(text(case, "/raw")).as_deref(), Some(expected));
            let meta: Json = serde_json::from_str(text(case, "/raw")).expect("JSON");
            let (keys, result) = (
                meta.as_object()
                    .expect("an object")
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>(),
                &meta["result"],
            );
            let children = numbered(&meta["children"].to_string(), &mut Vec::new());
            stored.push((keys, result.clone(), children));
        }
    }
    assert!(stored.iter().all(|other| *other == stored[0]), "{stored:?}");
    assert_eq!(stored[0].2, r#"[[["<0>",null],[[["<1>",null],null]]]]"#);
    let got = |name: &str| numbered(text(&found, &format!("/{name}")), &mut Vec::new());
    assert_eq!(got("chain fails"), chord_error.replace("<failed>", "<0>"));
    assert_eq!(
        got("expired"),
        chord_error
            .replace("<failed>", "<0>")
            .replace("ValueError('boom')", "TaskRevokedError('expired')")
    );
    assert_eq!(
        found["group as body"],
        serde_json::json!(["builtins.ValueError('boom',)", "builtins.ValueError('boom',)"])
    );
    assert_eq!(found["sizes left"], serde_json::json!([]), "{found}");
    rig.stopped().await;
}
