//! Tests of the private RabbitMQ server, used as other tests use it.

use harness::{Broker, Depth};
use serde_json::json;

#[tokio::test]
async fn publishes_counts_and_gets() {
    let vhost = Broker::shared().await.vhost("publish").await;
    vhost.declare_queue("celery", &json!({})).await;
    let properties = json!({
        "content_type": "application/json",
        "delivery_mode": 2,
        "priority": 0,
        "headers": { "id": "1", "eta": null, "retries": 0, "timelimit": [null, 1.5], "stamps": {} },
    });
    vhost.publish("", "celery", &properties, b"[[], {}, {}]").await;
    vhost.publish("", "celery", &json!({}), b"\xff\x00").await;
    assert_eq!(
        vhost.queue("celery").await,
        Depth {
            ready: 2,
            unacked: 0,
            consumers: 0
        }
    );
    assert_eq!(vhost.queues().await, ["celery"]);
    assert_eq!(vhost.find_queue("other").await, None);
    assert_eq!(vhost.consumers("celery").await, []);

    let messages = vhost.get("celery", 10).await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].properties, properties);
    assert_eq!(messages[0].body, b"[[], {}, {}]");
    assert_eq!(messages[0].routing_key, "celery");
    assert!(!messages[0].redelivered);
    assert_eq!(messages[1].body, b"\xff\x00");
    assert_eq!(vhost.queue("celery").await, Depth::default());
}

#[tokio::test]
#[should_panic(expected = "no queue for")]
async fn a_message_that_reaches_no_queue_fails_the_test() {
    let vhost = Broker::shared().await.vhost("unroutable").await;
    vhost.publish("", "nowhere", &json!({}), b"").await;
}

#[tokio::test]
async fn keeps_its_messages_through_a_power_failure() {
    let mut broker = Broker::start().await;
    let vhost = broker.vhost("power").await;
    vhost.declare_queue("celery", &json!({})).await;
    vhost
        .publish("", "celery", &json!({ "delivery_mode": 2 }), b"first")
        .await;
    broker.kill();
    broker.start_again().await;
    assert_eq!(vhost.queue("celery").await.ready, 1);
    broker.stop().await;
    broker.start_again().await;
    assert_eq!(vhost.get("celery", 2).await.len(), 1);
}

#[tokio::test]
async fn answers_rabbitmqctl() {
    let broker = Broker::shared().await;
    let vhost = broker.vhost("ctl").await;
    assert!(broker.ctl(&["list_vhosts"]).await.contains(vhost.name()));
    assert_eq!(vhost.close_all_connections().await, 0);
}
