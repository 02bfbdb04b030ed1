//! End-to-end tests of the Python twins: from the request at the API to the verdict in the callback.

use std::time::Duration;

use harness::{Broker, Depth, Proxy, Receiver, Redis, Vhost, eventually, free_port, http, python};
use serde_json::json;
use uuid::Uuid;

const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_request_crosses_all_three() {
    let vhost = Broker::shared().await.vhost("twins").await;
    let redis = Redis::start().await;
    let receiver = Receiver::start().await;
    let acl = python::acl_service(free_port(), &redis).await;
    let api = python::public_api(free_port(), &vhost.amqp_url(), &[]).await;
    let worker = python::worker(
        &vhost.amqp_url(),
        &acl.url(),
        Some(&redis),
        &["--concurrency=1", "--hostname=twin@localhost"],
        &[],
    )
    .await;
    assert_eq!(
        vhost.queue("celery").await,
        Depth {
            ready: 0,
            unacked: 0,
            consumers: 1
        }
    );
    let consumers = vhost.consumers("celery").await;
    assert_eq!((consumers[0].prefetch, consumers[0].acks), (0, true));
    assert_eq!(consumers[0].channel_prefetch, 4);

    let (station, token) = (Uuid::new_v4().to_string(), "validDriverToken-0001");
    let added = http::put(&format!("{}/station/{station}/driver/{token}/acl", acl.url())).await;
    assert_eq!(added.text(), "{\"num_added\":1}\n");
    let callback = receiver.url("/cb");
    let request = format!("{}/station/{station}/driver/{token}/authorize", api.url());
    let accepted = http::get(&format!("{request}?callback_url={callback}")).await;
    assert_eq!(
        (accepted.status, accepted.json()["status"].as_str()),
        (200, Some("accepted"))
    );
    http::post_json(&request, &json!({ "callback_url": callback })).await;

    let callbacks = receiver.wait_for(2, SOON).await;
    assert_eq!(
        callbacks[0].json(),
        json!({ "station_id": station, "driver_token": token, "status": "allowed" })
    );
    worker.wait_for_lines("succeeded in", 2, SOON).await;
    let records = redis.audit_records().await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].field("callback_status"), "<Response [200]>");
    // If the worker is named, `ping` returns as soon as it has answered.
    let ping = [
        "-A",
        "authorization_worker.tasks",
        "inspect",
        "ping",
        "--destination=twin@localhost",
        "--timeout=60",
    ];
    let answer = python::celery(&ping, &vhost.amqp_url()).await;
    assert!(answer.contains("pong"), "{answer}");
    assert!(vhost.close_all_connections().await >= 2);
    worker.wait_for_lines("Connected to amqp", 2, SOON).await;
}

#[tokio::test]
async fn a_program_sees_the_twins() {
    let printed = python::python(
        "import authorization_worker.tasks as t; print(t.authorize.name)",
        &[],
    )
    .await;
    assert_eq!(printed, "authorization_worker.tasks.authorize");
}

#[tokio::test]
async fn a_silent_line_loses_what_python_accepted() {
    let vhost = Broker::shared().await.vhost("silence").await;
    let proxy = Proxy::start(vhost.address()).await;
    let api = python::public_api(free_port(), &vhost.amqp_url_at(proxy.port()), &[]).await;
    let request = format!(
        "{}/station/{}/driver/t/authorize?callback_url=x",
        api.url(),
        Uuid::new_v4()
    );
    assert_eq!(http::get(&request).await.status, 200);
    holds(&vhost, 1).await;
    proxy.silence();
    assert_eq!(http::get(&request).await.status, 200);
    assert_eq!(vhost.queue("celery").await.ready, 1);
    proxy.cut();
    assert_eq!(http::get(&request).await.status, 500);
    proxy.restore();
    assert_eq!(http::get(&request).await.status, 200);
    holds(&vhost, 2).await;
}

/// Waits until the queue holds `count` messages, because Python answers without waiting for the broker.
async fn holds(vhost: &Vhost, count: u64) {
    eventually(format!("{count} messages"), SOON, || async {
        match vhost.queue("celery").await.ready {
            ready if ready == count => Ok(()),
            ready => Err(format!("{ready} messages")),
        }
    })
    .await;
}
