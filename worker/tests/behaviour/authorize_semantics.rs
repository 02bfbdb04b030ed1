//! authorize-semantics.jsonl: verdict, callback, record and failure for every kind of argument.

mod raw_message;

use std::time::Duration;

use celery_protocol::{Dict, Value as Argument, json};
use harness::Receiver;
use serde_json::Value;
use worker::authorize::Authorizer;

use crate::corpus::{self, Books, text};
use crate::stack;

const FILE: &str = "authorize-semantics.jsonl";
/// The time of the recording in nanoseconds since 1970, for messages that do not show their own time.
const RECORDED: i128 = 1_795_345_700_000_000_000;

struct Setting {
    authorizer: Authorizer,
    acl: Receiver,
    callbacks: Receiver,
    redis: harness::Redis,
}

#[tokio::test]
async fn every_message_has_its_recorded_or_decided_end() {
    let rows = corpus::read(FILE);
    let setting = Setting::start().await;
    let mut books = Books::default();
    for row in &rows {
        if text(row, "source").starts_with("the reference's function") {
            on_the_edge(&mut books, &setting, row).await;
        } else if row.get("sweep").is_some() {
            sweep(&mut books, &setting, row).await;
        } else if text(row, "case") == "cpu-idn-host" {
            long_host(&mut books, &setting, row).await;
        } else if text(row, "case") == "hdr-expires-past" {
            books.not_run(text(row, "case"), "expired before it began: celery-runtime");
        } else if row.get("raw_body").is_some() {
            message(&mut books, &setting, row).await;
        } else {
            books.not_run(text(row, "case"), "the running process: celery-runtime");
        }
    }
    books.close(FILE, rows.len());
}

impl Setting {
    async fn start() -> Self {
        let acl = stack::acl_service(r#"{"authorized":1}"#).await;
        let callbacks = Receiver::start_with(|_| harness::Reply::status(200)).await;
        let redis = harness::Redis::start().await;
        let authorizer = stack::authorizer(&acl.url(""), &redis);
        Self {
            authorizer,
            acl,
            callbacks,
            redis,
        }
    }

    /// Runs one message and returns all its visible effects as one text.
    async fn run(&self, args: &Argument, kwargs: &Dict, now: i128) -> String {
        self.acl.clear();
        self.callbacks.clear();
        let _: () = redis::cmd("FLUSHALL")
            .query_async(&mut self.redis.connection().await)
            .await
            .unwrap();
        let kwargs = Argument::Dict(kwargs.clone());
        let result = self.authorizer.authorize("task", args, &kwargs, now).await;
        let result = match result {
            Ok(()) => "succeeded".to_owned(),
            Err(error) => format!("{}({})", error.class, Argument::from(error.message).py_repr()),
        };
        let callbacks = self.callbacks.requests();
        let bodies: Vec<_> = callbacks
            .iter()
            .map(|request| String::from_utf8_lossy(&request.body))
            .collect();
        let asked: Vec<_> = self
            .acl
            .requests()
            .iter()
            .map(|request| format!("{} {} HTTP/1.1", request.method, request.target))
            .collect();
        let records = self.redis.audit_records().await;
        let records: Vec<_> = records
            .iter()
            .map(|record| format!("{} {:?}", record.key, record.fields))
            .collect();
        format!("{result}; callbacks {bodies:?}; asked {asked:?}; records {records:?}")
    }
}

async fn message(books: &mut Books, setting: &Setting, row: &Value) {
    let case = text(row, "case");
    let port = setting.callbacks.port();
    let local = |text: &str| text.replace("127.0.0.1:21001", &format!("127.0.0.1:{port}"));
    let Some((args, kwargs)) = arguments(row, &local) else {
        // Python also drops the message, or dies of it.
        books.same(
            case,
            format!("{}, {}", row["callbacks"], row["redis_records"]),
            "0, 0",
        );
        return;
    };
    let now = time_of(row, &kwargs);
    let ours = setting.run(&args, &kwargs, now).await;
    match decided_otherwise(row, &args, now) {
        None => books.same(case, local(&recorded(row)), ours),
        Some((reason, expected)) => books.deviates(case, reason, local(&expected), ours),
    }
}

/// Returns the message's arguments; `None` if it is not a task message.
fn arguments(row: &Value, local: &impl Fn(&str) -> String) -> Option<(Argument, Dict)> {
    if let Some(body) = row["raw_body"].as_str() {
        let (mut args, kwargs) = raw_message::arguments(text(row, "case"), &local(body))?;
        if let Argument::List(args) = &mut args {
            // A compressed body still contains the port of the recording.
            for arg in args {
                if let Some(text) = arg.as_str() {
                    *arg = local(text).into();
                }
            }
        }
        return Some((args, kwargs));
    }
    let parse = |value: &Value| json::parse(local(&python_json(value)).as_bytes()).ok();
    let kwargs = match parse(&row["kwargs"])? {
        Argument::Dict(kwargs) => kwargs,
        _ => Dict::new(),
    };
    Some((parse(&row["args"])?, kwargs))
}

/// Returns the text that [`Setting::run`] would return for the recording.
fn recorded(row: &Value) -> String {
    let result = row["exception"].as_str().unwrap_or("succeeded");
    let bodies: Vec<&str> = row["callback"].as_str().into_iter().collect();
    let asked: Vec<&str> = row["acl_request"].as_str().into_iter().collect();
    let records: Vec<String> = row["redis_hash"]
        .as_object()
        .map(|hash| {
            let fields: std::collections::BTreeMap<&str, &str> = hash
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
                .collect();
            format!("{} {fields:?}", text(row, "redis_key"))
        })
        .into_iter()
        .collect();
    format!("{result}; callbacks {bodies:?}; asked {asked:?}; records {records:?}")
}

/// Returns the time at which the task began: from its key, else derived from its expiry.
fn time_of(row: &Value, kwargs: &Dict) -> i128 {
    if let Some(time) = text(row, "redis_key").split(':').nth(2) {
        return time.parse().unwrap();
    }
    let expiry = row["args"][3]
        .as_i64()
        .or_else(|| kwargs.get("expiry_time_ns")?.as_i64());
    let Some(expiry) =
        expiry.filter(|expiry| (1_790_000_000_000_000_000..1_800_000_000_000_000_000).contains(expiry))
    else {
        return RECORDED;
    };
    let second = 1_000_000_000;
    i128::from(expiry)
        + if text(row, "case").ends_with("-expired") {
            second
        } else {
            -5 * second
        }
}

/// Returns the source text of a value that the file contains as JSON.
fn python_json(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            if let Some(source) = fields.get("json_text") {
                return source.as_str().unwrap().to_owned();
            }
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), python_json(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(python_json).collect::<Vec<_>>().join(",")
        ),
        other => other.to_string(),
    }
}

/// Returns the reason and the visible effects if we decided on a deviation from Python (design: deviations).
fn decided_otherwise(row: &Value, args: &Argument, now: i128) -> Option<(&'static str, String)> {
    let case = text(row, "case");
    let exception = row["exception"].as_str();
    if exception.is_some_and(|exception| exception.starts_with("TypeError(\"authorize() ")) {
        return None;
    }
    let characters;
    let args = match args {
        Argument::List(args) => args,
        Argument::Text(text) => {
            characters = text
                .to_string_lossy()
                .chars()
                .map(|c| c.to_string().into())
                .collect();
            &characters
        }
        _ => return None,
    };
    if case.starts_with("station-") && !is_uuid(&args[0]) {
        return Some(("a station that is not a UUID is invalid", invalid_station(row)));
    }
    if case == "token-slash-html" {
        let reason = "% / ? # do not reach beyond the token's own segment";
        return Some((
            reason,
            recorded(row).replace("%3C/script%3E&/acl", "%3C%2Fscript%3E&/acl"),
        ));
    }
    let reason = match (exception?, case) {
        ("server:DataError", _) => "a token of any type is recorded",
        (_, "raw-args-string") => "a message whose four characters are bound as arguments is recorded",
        (_, case) if case.starts_with("expiry-") => "a bad expiry is called back as invalid, and recorded",
        (_, case) if case.starts_with("token-") => {
            "a token that is not a text is called back as invalid, and recorded"
        }
        (_, case) if case.starts_with("url-") => "a URL that is not a text is recorded",
        _ => return None,
    };
    Some((reason, not_lost(row, args, now)))
}

fn is_uuid(station: &Argument) -> bool {
    let is_hyphenated = |text: &str| text.len() == 36 && uuid::Uuid::parse_str(text).is_ok();
    matches!(station, Argument::Uuid(_)) || station.as_str().is_some_and(is_hyphenated)
}

/// Returns the recording, but with the verdict `invalid` and without a request to the ACL service.
fn invalid_station(row: &Value) -> String {
    let mut row = row.clone();
    row["acl_request"] = Value::Null;
    row["redis_hash"]["status"] = "invalid".into();
    row["callback"] = text(&row, "callback")
        .replace(r#""status": "allowed""#, r#""status": "invalid""#)
        .into();
    recorded(&row)
}

/// Returns the effects in cases in which Python fails and loses the message, or its record: we fail as Python does, but
/// send the callback and write the record.
fn not_lost(row: &Value, args: &[Argument], now: i128) -> String {
    let [station, token, url, _] = args else {
        panic!("{row}")
    };
    let is_expired = text(row, "case").ends_with("-expired");
    let status = if is_expired { "unknown" } else { "invalid" };
    let token_json = match token {
        Argument::Uuid(_) | Argument::Bytes(_) => format!("{:?}", token.py_str()),
        plain => json::to_json(plain),
    };
    let station = station.py_str();
    let mut row = row.clone();
    if text(&row, "exception") == "server:DataError" {
        row["exception"] = Value::Null;
    }
    let is_url = url.as_str().is_some_and(|url| url.starts_with("http"));
    if is_url {
        row["callback"] =
            format!(r#"{{"station_id": "{station}", "driver_token": {token_json}, "status": "{status}"}}"#)
                .into();
    }
    let token = token.py_str();
    row["redis_key"] = format!("log:authorize:{now}:{station}:{token}").into();
    row["redis_hash"] = serde_json::json!({
        "station_id": station,
        "driver_token": token,
        "status": status,
        "callback_status": if is_url { "<Response [200]>" } else { "Invalid callback URL" },
        "callback_url": url.py_str(),
    });
    recorded(&row)
}

/// Compares with the reference function under a simulated clock; our function gets its first reading.
async fn on_the_edge(books: &mut Books, setting: &Setting, row: &Value) {
    let case = text(row, "case");
    let offset = |value: &Value| i128::from(value.as_i64().unwrap());
    let now = RECORDED + offset(&row["clock_minus_base_ns"][0]);
    let left = offset(&row["expiry_minus_base_ns"]);
    let token = if case.contains("bad token") {
        "short"
    } else {
        "validDriverToken-0001"
    };
    let url = setting.callbacks.url("/edge");
    let args = Argument::List(vec![
        "5e3a0000-0000-4000-8000-000000000001".into(),
        token.into(),
        url.into(),
        (RECORDED + left).into(),
    ]);
    let ours = setting.run(&args, &Dict::new(), now).await;
    let record = setting.redis.audit_records().await.pop().unwrap();
    assert!(
        ours.starts_with("succeeded; ") && setting.callbacks.count() == 1,
        "{case}: {ours}"
    );
    assert!(
        record.key.starts_with(&format!("log:authorize:{now}:")),
        "{case}: the start time is the first reading"
    );
    let ours = record.field("status");
    match row["callback_status_field"].as_str() {
        None => books.deviates(
            case,
            "time near the deadline is unknown, not lost",
            "unknown",
            ours,
        ),
        Some("allowed") if left < 1_000_000_000 => {
            let in_time = matches!(ours, "allowed" | "unknown");
            let reason = "so close to the deadline, the answer may be too late; it is never lost";
            books.deviates(
                case,
                reason,
                "in time or not: true",
                format!("in time or not: {in_time}"),
            );
        }
        Some(recorded) => books.same(case, recorded, ours),
    }
}

/// Runs many messages in their last milliseconds: Python loses some of them, we lose none.
async fn sweep(books: &mut Books, setting: &Setting, row: &Value) {
    const TASKS: u32 = 200;
    let long = text(row, "sweep").contains("1,000,000");
    setting.callbacks.clear();
    let mut connection = setting.redis.connection().await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    let tasks = if long { TASKS / 10 } else { TASKS };
    let query = if long { "x".repeat(60_000) } else { "x".to_owned() };
    for n in 0..tasks {
        let left = Duration::from_micros(u64::from(500 + 5_500 * n / tasks));
        let now = RECORDED + i128::from(n);
        let args = Argument::List(vec![
            "5e3a0000-0000-4000-8000-000000000001".into(),
            "validDriverToken-0001".into(),
            setting.callbacks.url(&format!("/sweep?n={query}")).into(),
            (now + i128::try_from(left.as_nanos()).unwrap()).into(),
        ]);
        setting
            .authorizer
            .authorize("task", &args, &Argument::Dict(Dict::new()), now)
            .await
            .unwrap();
    }
    let ends = format!(
        "{} callbacks, {} records",
        setting.callbacks.count(),
        setting.redis.audit_records().await.len()
    );
    let reason = "time near the deadline is unknown, not lost";
    books.deviates(
        text(row, "sweep"),
        reason,
        format!("{tasks} callbacks, {tasks} records"),
        ends,
    );
}

/// Judges a host of thousands of different characters, whose cost must not grow faster than its length. Python's time
/// grows with the square of the length, to eight seconds. A busy machine may slow down a run, but hardly all five.
async fn long_host(books: &mut Books, setting: &Setting, row: &Value) {
    let count = u32::try_from(row["distinct_characters"].as_u64().unwrap()).unwrap();
    let host: String = (0..count).filter_map(|n| char::from_u32(0x4E00 + n)).collect();
    let args = Argument::List(vec![
        "5e3a0000-0000-4000-8000-000000000001".into(),
        "validDriverToken-0001".into(),
        format!("http://{host}.com/").into(),
        (RECORDED + 5_000_000_000).into(),
    ]);
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let began = std::time::Instant::now();
        setting.run(&args, &Dict::new(), RECORDED).await;
        quickest = quickest.min(began.elapsed());
    }
    assert!(
        quickest < Duration::from_secs(1),
        "{count} characters took {quickest:?}"
    );
    let record = setting.redis.audit_records().await.pop().unwrap();
    let recorded = format!("{}, {}", text(row, "status"), text(row, "callback_status"));
    books.same(
        &format!("cpu-idn-host {count}"),
        recorded,
        format!("{}, {}", record.field("status"), record.field("callback_status")),
    );
}
