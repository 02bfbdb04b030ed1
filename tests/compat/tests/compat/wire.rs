//! Snapshots of what a worker publishes after a task and what it stores about the task, as sent over the wire. Other tests
//! check that Celery does the same, with captures and with Python workers; these snapshots reveal every change.

use std::time::Duration;

use celery_protocol::{Dict, Embed, IsoTime, Signature, TaskCall, Value};
use harness::{Broker, Redis, eventually, redacted};
use jiff::Timestamp;
use serde_json::json;

use crate::demo::{self, Results};
use crate::versions::{call, numbers, producer};

const WAIT: Duration = Duration::from_mins(1);

/// A signature for a queue that has no consumer.
fn elsewhere(task: &str, args: Vec<Value>) -> Signature {
    let mut signature = Signature::new(task, args, Dict::new()).into_dict();
    let options = Dict::from_iter([("queue", Value::from("elsewhere"))]);
    signature.insert("options", Value::Dict(options));
    Signature::from_value(Value::Dict(signature)).expect("a signature")
}

fn after(task: &str, args: Vec<Value>, embed: Embed) -> TaskCall {
    TaskCall {
        embed,
        ..call(task, args)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_task() {
    let vhost = Broker::shared().await.vhost("wire-after").await;
    vhost.declare_queue("elsewhere", &json!({})).await;
    let redis = Redis::start().await;
    let _worker = demo::rust_worker_on(&vhost, "rust", &Results::redis(&redis)).await;
    let producer = producer(&vhost, "rust");
    let add = |embed| after("demo.add", numbers(&[1, 2]), embed);
    let step = |number| elsewhere("demo.add", numbers(&[number]));
    let cases = [
        (
            "callback",
            add(Embed {
                callbacks: Some(vec![step(3)]),
                ..Embed::default()
            }),
            1,
        ),
        (
            "callbacks",
            add(Embed {
                callbacks: Some(vec![step(3), step(4)]),
                ..Embed::default()
            }),
            2,
        ),
        (
            "chain",
            add(Embed {
                chain: Some(vec![step(4), step(3)]),
                ..Embed::default()
            }),
            1,
        ),
        (
            "error_callback",
            after(
                "demo.fail",
                vec![],
                Embed {
                    errbacks: Some(vec![elsewhere("demo.told", vec![])]),
                    ..Embed::default()
                },
            ),
            1,
        ),
    ];
    for (name, call, count) in cases {
        producer.send(&call).await.expect("the broker takes it");
        eventually(format!("the messages of {name}"), WAIT, || async {
            match vhost.queue("elsewhere").await.ready {
                ready if ready == count => Ok(()),
                ready => Err(format!("{ready} messages")),
            }
        })
        .await;
        let messages = vhost.get("elsewhere", 10).await;
        let shown: Vec<String> = messages.iter().map(harness::Delivered::shown).collect();
        insta::assert_snapshot!(format!("after_{name}"), redacted(&shown.join("\n\n")));
    }
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored() {
    let vhost = Broker::shared().await.vhost("wire-results").await;
    let redis = Redis::start().await;
    let _worker = demo::rust_worker_on(&vhost, "rust", &Results::redis(&redis)).await;
    let producer = producer(&vhost, "rust");
    let expired = TaskCall {
        expires: Some(IsoTime::from(Timestamp::now() - WAIT).isoformat()),
        ..call("demo.add", numbers(&[1, 2]))
    };
    for (name, call) in [
        ("success", call("demo.add", numbers(&[1, 2]))),
        ("failure", call("demo.fail", vec![])),
        ("expired", expired),
        ("unregistered", call("no.such", vec![])),
    ] {
        producer.send(&call).await.expect("the broker takes it");
        let key = format!("celery-task-meta-{}", call.id);
        let text = eventually(format!("the result of {name}"), WAIT, || async {
            redis.get(&key).await.ok_or_else(|| "nothing yet".to_owned())
        })
        .await;
        insta::assert_snapshot!(format!("result_{name}"), redacted(&text));
    }
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replied() {
    let vhost = Broker::shared().await.vhost("wire-rpc").await;
    vhost.declare_queue("replies", &json!({})).await;
    let _worker = demo::rust_worker_on(&vhost, "rust", &Results::rpc()).await;
    let producer = producer(&vhost, "rust");
    let mut call = call("demo.add", numbers(&[1, 2]));
    "replies".clone_into(&mut call.reply_to);
    producer.send(&call).await.expect("the broker takes it");
    eventually("a reply", WAIT, || async {
        match vhost.queue("replies").await.ready {
            1 => Ok(()),
            ready => Err(format!("{ready} messages")),
        }
    })
    .await;
    let reply = vhost.get("replies", 1).await.remove(0);
    insta::assert_snapshot!("reply", redacted(&reply.shown()));
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_retried() {
    let vhost = Broker::shared().await.vhost("wire-retry").await;
    let redis = Redis::start().await;
    let worker = demo::rust_worker_on(&vhost, "rust", &Results::redis(&redis)).await;
    let producer = producer(&vhost, "rust");
    let call = call("demo.again", vec![Value::from("word")]);
    producer.send(&call).await.expect("the broker takes it");
    worker.wait_for_line(" retry: Retry in ", WAIT).await;
    worker.wait_for_line("] succeeded in ", WAIT).await;
    let key = format!("celery-task-meta-{}", call.id);
    let text = eventually("the result of the second run", WAIT, || async {
        let text = redis.get(&key).await.unwrap_or_default();
        if text.contains("SUCCESS") {
            Ok(text)
        } else {
            Err(text)
        }
    })
    .await;
    insta::assert_snapshot!("result_after_retry", redacted(&text));
    producer.close().await;
}
