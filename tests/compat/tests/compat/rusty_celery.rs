//! Tests rusty-celery 0.5.5 as a producer for our worker, and as a worker for our producer. It is built by
//! `make test-versions`.

use std::path::Path;
use std::time::Duration;

use celery_protocol::{Compression, Dict, Embed, IsoTime, Signature, TaskCall, Value};
use harness::{Broker, Process, Redis, Vhost, eventually};
use jiff::Timestamp;
use serde_json::json;

use crate::demo::{self, Results};
use crate::table::{Column, RUSTY_CELERY};
use crate::versions::{call, numbers, producer, result};

const WAIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-versions"]
async fn celery_in_rust_0_5_5() {
    let mut column = Column::default();
    let vhost = Broker::shared().await.vhost("rusty-celery").await;
    as_producer(&vhost, &mut column).await;
    as_worker(&vhost, &mut column).await;
    column.settle(RUSTY_CELERY, "0.5.5");
}

fn program(what: &str, vhost: &Vhost, queue: &str) -> Process {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rusty-celery/target/debug/rusty-celery-demo");
    assert!(
        path.exists(),
        "there is no {}; run `make test-versions`, which builds it",
        path.display()
    );
    Process::spawn(path, [what, &vhost.amqp_url(), queue], [("", ""); 0])
}

async fn as_producer(vhost: &Vhost, column: &mut Column) {
    let redis = Redis::start().await;
    let _worker = demo::rust_worker_on(vhost, "ours", &Results::redis(&redis)).await;
    let producer = program("produce", vhost, "ours");
    let status = producer.wait_exit(WAIT).await;
    assert!(status.success(), "{status}:\n{}", producer.tail());
    let sent = producer.stdout();
    assert!(!sent.is_empty());
    for line in sent {
        let (case, id) = line.split_once('\t').expect("a case and its id");
        let expected = match case {
            "numbers" | "not yet expired" => json!(3),
            "negative numbers" => json!(-3),
            "text" => json!("é\u{2028}😀"),
            "countdown" => json!(true),
            _ => panic!("{case}"),
        };
        let found = result(&redis, id).await;
        let outcome = if found == expected {
            "yes".to_owned()
        } else {
            format!("no: {found}")
        };
        column.add("rusty-celery → our worker", case, outcome);
    }
}

/// A call, and the line that the rusty-celery worker prints when it runs the call.
struct Sent {
    case: &'static str,
    call: TaskCall,
    line: &'static str,
}

fn sends(now: Timestamp) -> Vec<Sent> {
    let keywords = |x: i64| {
        let kwargs = [("x", Value::from(x)), ("y", Value::from(1))];
        call("demo.add", vec![]).with_kwargs(Dict::from_iter(kwargs))
    };
    let sent = |case, call, line| Sent { case, call, line };
    let link = Embed {
        callbacks: Some(vec![Signature::new("demo.add", numbers(&[3]), Dict::new())]),
        ..Embed::default()
    };
    let expired = TaskCall {
        expires: Some(IsoTime::from(now - Duration::from_mins(1)).isoformat()),
        ..keywords(6)
    };
    vec![
        sent("keyword arguments", keywords(1), "add 1 1"),
        sent(
            "positional arguments",
            call("demo.add", numbers(&[2, 1])),
            "add 2 1",
        ),
        sent("countdown", keywords(3).with_countdown(1.0, now), "add 3 1"),
        sent(
            "not yet expired",
            keywords(4).with_expires_in(60.0, now),
            "add 4 1",
        ),
        sent(
            "zlib",
            TaskCall {
                compression: Some(Compression::Zlib),
                ..keywords(5)
            },
            "add 5 1",
        ),
        sent("expired: not run", expired, "add 6 1"),
        sent(
            "callback (`link`)",
            TaskCall {
                embed: link,
                ..keywords(7)
            },
            "add 8 3",
        ),
        sent(
            "typed argument (UUID)",
            call("demo.told", vec![Value::Uuid(uuid::Uuid::nil())]),
            "told 00000000-0000-0000-0000-000000000000",
        ),
    ]
}

/// Runs rusty-celery as the worker. It does not report the outcome of a task, so a final task shows that the earlier
/// ones have been handled.
async fn as_worker(vhost: &Vhost, column: &mut Column) {
    vhost.declare_queue("theirs", &json!({})).await;
    let worker = program("work", vhost, "theirs");
    worker.wait_for_line("ready", WAIT).await;
    let producer = producer(vhost, "theirs");
    let sends = sends(Timestamp::now());
    for sent in &sends {
        producer.send(&sent.call).await.expect("the broker takes it");
    }
    let last = call("demo.due", vec![]).with_countdown(3.0, Timestamp::now());
    producer.send(&last).await.expect("the broker takes it");
    worker.wait_for_line("due", WAIT).await;
    eventually("an empty queue", WAIT, || async {
        let depth = vhost.queue("theirs").await;
        if depth.ready + depth.unacked == 0 {
            Ok(())
        } else {
            Err(format!("{depth:?}"))
        }
    })
    .await;
    let lines = worker.stdout();
    for Sent { case, line, .. } in sends {
        let has_run = lines.iter().any(|printed| printed == line);
        let outcome = match (has_run, case) {
            (true, "expired: not run") => "no: run",
            (true, _) | (false, "expired: not run") => "yes",
            (false, _) => "no: acked and lost",
        };
        column.add("our producer → rusty-celery", case, outcome);
    }
    producer.close().await;
}
