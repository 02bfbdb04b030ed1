//! redis-log.jsonl: the bytes of a record, and its contents in every kind of authorization.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use celery_protocol::{Dict, Value as Argument, json};
use harness::Receiver;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use worker::audit_log::redis::RedisAuditLog;
use worker::audit_log::{AuditRecord, AuditSink as _};
use worker::verdict::Verdict;

use crate::corpus::{self, Books, text};
use crate::stack;

const FILE: &str = "redis-log.jsonl";

#[tokio::test]
async fn records_are_pythons() {
    let rows = corpus::read(FILE);
    let redis = harness::Redis::start().await;
    let mut books = Books::default();
    for row in &rows {
        let case = text(row, "case");
        match case {
            "start-up bytes" => {
                books.not_run(case, "greeting of the Redis library, which only Redis sees");
            }
            "one record, bytes" => books.same(
                case,
                command_of(text(row, "sent_by_worker")),
                sent(row, &redis).await,
            ),
            "three identical requests" => three(&mut books, &redis, row).await,
            _ if case.starts_with("start-up: ") => {
                books.not_run(case, "configuration: config.rs and audit_outage.rs");
            }
            _ if case.starts_with("run time: ") => books.not_run(case, "Redis in trouble: audit_outage.rs"),
            _ => authorization(&mut books, &redis, row).await,
        }
    }
    books.close(FILE, rows.len());
}

/// Returns the last command of a recording: `HSET` and its arguments.
fn command_of(sent: &str) -> String {
    sent[sent.rfind("*12\r\n").unwrap()..].to_owned()
}

/// Returns the bytes that we send for a record with the same contents.
async fn sent(row: &Value, redis: &harness::Redis) -> String {
    let wiretap = Wiretap::on(redis.port()).await;
    let sink = RedisAuditLog::new("127.0.0.1", wiretap.port).unwrap();
    let field = |name: &str| {
        let fields = row["fields_in_order"].as_array().unwrap();
        let pair = fields.iter().find(|pair| pair[0] == name).unwrap();
        pair[1].as_str().unwrap().to_owned()
    };
    let record = AuditRecord {
        task_id: "task".to_owned(),
        start_time_ns: text(row, "key").split(':').nth(2).unwrap().parse().unwrap(),
        station_id: field("station_id"),
        driver_token: field("driver_token"),
        status: Verdict::Allowed,
        callback_status: field("callback_status"),
        callback_url: field("callback_url"),
    };
    sink.write(std::slice::from_ref(&record)).await.unwrap();
    command_of(&wiretap.sent())
}

async fn authorization(books: &mut Books, redis: &harness::Redis, row: &Value) {
    let case = text(row, "case");
    let acl = stack::acl_service(r#"{"authorized":1}"#).await;
    let callbacks = Receiver::start_with(|_| harness::Reply::status(200)).await;
    let closed = harness::free_port();
    let local = |text: &str| {
        text.replace("127.0.0.1:21001", &format!("127.0.0.1:{}", callbacks.port()))
            .replace("21010", &closed.to_string())
    };
    let args = args(case, &row["records"][0]["hash"], &local);
    let now = text(&row["records"][0], "key")
        .split(':')
        .nth(2)
        .map_or(1_795_348_003_000_000_000, |time| time.parse().unwrap());
    let is_expired = case.contains("expired");
    let expiry = Argument::from(if is_expired { now - 1 } else { now + 5_000_000_000 });
    let args = Argument::List(args.into_iter().chain([expiry]).collect());
    let _: () = redis::cmd("FLUSHALL")
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    stack::authorizer(&acl.url(""), redis)
        .authorize("task", &args, &Argument::Dict(Dict::new()), now)
        .await
        .unwrap();
    let ours: Vec<_> = redis
        .audit_records()
        .await
        .iter()
        .map(|record| format!("{} {:?}", record.key, record.fields))
        .collect();
    let recorded: Vec<_> = row["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            let hash = record["hash"].as_object().unwrap().iter();
            let fields: BTreeMap<_, _> = hash
                .map(|(name, value)| (name, value.as_str().unwrap()))
                .collect();
            local(&format!("{} {fields:?}", text(record, "key")))
        })
        .collect();
    let ours = ours.concat();
    if recorded.is_empty() {
        let is_recorded = ours.contains("log:authorize:");
        let reason = "what Python's Redis client refuses is recorded as text";
        books.deviates(case, reason, "recorded: true", format!("recorded: {is_recorded}"));
    } else if case == "empty station" {
        let reason = "a station that is not a UUID is invalid";
        books.deviates(
            case,
            reason,
            recorded.concat().replace("\"allowed\"", "\"invalid\""),
            ours,
        );
    } else {
        books.same(case, recorded.concat(), ours);
    }
}

/// Returns the station, token and URL of a case: those of its record, else those that the case names.
fn args(case: &str, hash: &Value, local: &impl Fn(&str) -> String) -> Vec<Argument> {
    let station = hash["station_id"]
        .as_str()
        .unwrap_or("bea5000a-0000-4000-8000-000000000001");
    let url = hash["callback_url"]
        .as_str()
        .unwrap_or("http://127.0.0.1:21001/cb");
    let source = |text: &str| json::parse(text.as_bytes()).unwrap();
    let token = match case {
        "null token, expired" => source("null"),
        "boolean token, expired" => source("true"),
        "list token, expired" => source(r#"["a"]"#),
        "integer token, expired" => source("7"),
        "float token, expired" => source("1.5"),
        "huge float token, expired" => source("1e22"),
        _ => hash["driver_token"]
            .as_str()
            .unwrap_or("validDriverToken-0001")
            .into(),
    };
    let url = match case {
        "lone surrogate in URL query" => source(&local(r#""http://127.0.0.1:21001/?a=\ud800""#)),
        _ => local(url).into(),
    };
    vec![station.into(), token, url]
}

async fn three(books: &mut Books, redis: &harness::Redis, row: &Value) {
    let sink = RedisAuditLog::new("127.0.0.1", redis.port()).unwrap();
    let _: () = redis::cmd("FLUSHALL")
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    let keys: Vec<&str> = row["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .collect();
    for key in &keys {
        let parts: Vec<&str> = key.split(':').collect();
        let record = AuditRecord {
            task_id: "task".to_owned(),
            start_time_ns: parts[2].parse().unwrap(),
            station_id: parts[3].to_owned(),
            driver_token: parts[4].to_owned(),
            status: Verdict::Allowed,
            callback_status: String::new(),
            callback_url: String::new(),
        };
        sink.write(std::slice::from_ref(&record)).await.unwrap();
        sink.write(std::slice::from_ref(&record)).await.unwrap();
    }
    let ours: Vec<String> = redis
        .audit_records()
        .await
        .into_iter()
        .map(|record| record.key)
        .collect();
    books.same(text(row, "case"), keys.concat(), ours.concat());
}

/// A proxy between a client and a server on 127.0.0.1, which keeps the bytes that the client sends.
struct Wiretap {
    port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
    _forwarding: JoinSet<()>,
}

impl Wiretap {
    async fn on(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::<Mutex<Vec<u8>>>::default();
        let mut forwarding = JoinSet::new();
        let kept = Arc::clone(&sent);
        forwarding.spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server))
                .await
                .unwrap()
                .into_split();
            let requests = async {
                let mut chunk = [0; 4096];
                while let Ok(n @ 1..) = from_client.read(&mut chunk).await {
                    kept.lock().unwrap().extend_from_slice(&chunk[..n]);
                    to_server.write_all(&chunk[..n]).await.unwrap();
                }
            };
            tokio::join!(requests, tokio::io::copy(&mut from_server, &mut to_client))
                .1
                .unwrap();
        });
        Self {
            port,
            sent,
            _forwarding: forwarding,
        }
    }

    fn sent(&self) -> String {
        String::from_utf8(self.sent.lock().unwrap().clone()).unwrap()
    }
}
