//! Python's Celery calls and the Rust worker runs: every way in which Python enqueues an authorization.

use std::time::Duration;

use harness::{Broker, Receiver, Redis, python};

use crate::services::{Acl, By, worker};

const WAIT: Duration = Duration::from_mins(1);

/// Calls both through the real task of the Python twin and by name only, as a program without its code does.
const CALLS: &str = r#"
import os, time, uuid
from celery import Celery
from authorization_worker.tasks import authorize

base = os.environ["CALLBACK_BASE"]
delayed, keywords, named = os.environ["STATIONS"].split()
token = "validDriverToken-0001"
expiry = time.time_ns() + 600 * 10**9
authorize.delay(uuid.UUID(delayed), token, base + "/delay", expiry)
authorize.apply_async(kwargs=dict(
    station_id=uuid.UUID(keywords), driver_token=token, callback_url=base + "/keywords", expiry_time_ns=expiry))
by_name = Celery(broker=authorize.app.conf.broker_url)
by_name.send_task("authorization_worker.tasks.authorize", args=[named, token, base + "/send-task", expiry])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_worker_runs_what_python_enqueues() {
    let vhost = Broker::shared().await.vhost("interop").await;
    let redis = Redis::start().await;
    let acl = Acl::start(By::Rust, &redis).await;
    let receiver = Receiver::start().await;
    let worker = worker(By::Rust, &vhost, &acl, &redis, 4).await;

    let stations = [
        "5e3a0000-0000-4000-8000-000000000001",
        "5e3a0000-0000-4000-8000-000000000002",
        "5e3a0000-0000-4000-8000-000000000003",
    ];
    acl.allow(stations[1], "validDriverToken-0001").await;
    let variables = [
        ("BROKER_URL", vhost.amqp_url()),
        ("CALLBACK_BASE", receiver.url("")),
        ("STATIONS", stations.join(" ")),
    ];
    python::python(
        CALLS,
        &variables.each_ref().map(|(name, value)| (*name, value.as_str())),
    )
    .await;

    receiver.wait_for(3, WAIT).await;
    let mut seen: Vec<(String, String, String)> = receiver
        .requests()
        .iter()
        .map(|call| {
            (
                call.target.clone(),
                call.field("station_id"),
                call.field("status"),
            )
        })
        .collect();
    seen.sort();
    let expected = [
        ("/delay", stations[0], "not_allowed"),
        ("/keywords", stations[1], "allowed"),
        ("/send-task", stations[2], "not_allowed"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(seen, expected);
    worker.wait_for_lines("] succeeded in ", 3, WAIT).await;
    assert_eq!(redis.audit_records().await.len(), 3);
}
