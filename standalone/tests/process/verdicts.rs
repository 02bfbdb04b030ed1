//! The verdicts, from request to audit record.

use harness::{Receiver, Scratch, http};
use serde_json::json;

use crate::running::{DRIVER, Running, WAIT, all_done, station};

#[tokio::test]
async fn each_verdict_is_called_back_and_recorded() {
    let (directory, receiver) = (Scratch::new(), Receiver::start().await);
    let database = directory.join("a.db");
    let running = Running::start(&database, &[]).await;
    running.allow(&station(1), DRIVER).await;
    let answer = http::get(&running.acl_url(&station(1), DRIVER)).await;
    assert_eq!(answer.json(), json!({ "allowed": true, "authorized": true }));

    for (number, token, verdict) in [
        (1, DRIVER, "allowed"),
        (2, DRIVER, "not_allowed"),
        (3, "short", "invalid"),
    ] {
        let station = station(number);
        assert!(running.ask(&station, token, &receiver.url("/cb")).await.unwrap());
        let callback = receiver.wait_for_station(&station, WAIT).await;
        assert_eq!(callback.method, "POST");
        assert_eq!(
            callback.json(),
            json!({ "station_id": station, "driver_token": token, "status": verdict })
        );
        assert_eq!(all_done(&database).await[&station], [verdict]);
    }

    let url = format!("{}/station/{}/driver/{DRIVER}/authorize", running.api, station(4));
    let answer = http::post_json(&url, &json!({ "callback_url": receiver.url("/json") })).await;
    assert_eq!(answer.status, 200);
    assert_eq!(receiver.wait_for_station(&station(4), WAIT).await.target, "/json");
    assert_eq!(http::post_json(&url, &json!({})).await.status, 400);
    assert!(
        running
            .ask(&station(5), DRIVER, "http://localhost/")
            .await
            .unwrap()
    );
    assert_eq!(all_done(&database).await[&station(5)], ["invalid"]);
    assert_eq!(receiver.count(), 4);
}

/// Each failure is one line, with the reason and without the query; the worker's own lines are Celery's.
#[tokio::test]
async fn a_callback_that_is_not_taken_is_in_the_log() {
    let (directory, receiver) = (Scratch::new(), Receiver::start().await);
    let running = Running::start(&directory.join("a.db"), &[]).await;
    let closed = harness::free_port();
    for (number, url, reason) in [
        (
            1,
            "http://localhost:9000/?key=secret".to_owned(),
            "`localhost` has none",
        ),
        (
            2,
            format!("http://127.0.0.1:{closed}/?key=secret"),
            "no connection: Connection refused",
        ),
        (3, receiver.url("/status/501?key=secret"), "status 501"),
        (4, receiver.url("/close?key=secret"), "ended without an answer"),
    ] {
        let accepted = running.ask(&station(number), DRIVER, &url).await;
        assert!(accepted.unwrap());
        let line = running.process.wait_for_line(reason, WAIT).await;
        assert!(
            line.contains("WARN") && line.contains("did not reach its caller"),
            "{line}"
        );
    }
    let log = running.process.stderr().join("\n");
    assert!(!log.contains("secret"), "{log}");
    assert_eq!(log.matches("did not reach").count(), 4, "{log}");
}

/// An environment that was made for other programs determines where callbacks go.
#[tokio::test]
async fn a_proxy_in_force_is_in_the_log() {
    let directory = Scratch::new();
    let proxy = format!("http://user:secret@127.0.0.1:{}", harness::free_port());
    let running = Running::start(&directory.join("a.db"), &[("HTTP_PROXY", &proxy)]).await;
    let line = running.process.wait_for_line("through the proxy", WAIT).await;
    assert!(
        line.contains("127.0.0.1:") && line.contains("HTTP_PROXY"),
        "{line}"
    );
    let accepted = running.ask(&station(1), DRIVER, "http://192.0.2.1/").await;
    assert!(accepted.unwrap());
    let line = running
        .process
        .wait_for_line("no connection to the proxy", WAIT)
        .await;
    assert!(line.contains("did not reach its caller"), "{line}");
    let log = running.process.stderr().join("\n");
    assert!(!log.contains("secret"), "{log}");
}

/// ADR 40 holds here as in the worker.
#[tokio::test]
async fn callbacks_carry_the_task_id_and_a_signature_on_demand() {
    let (directory, receiver) = (Scratch::new(), Receiver::start().await);
    let secret = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3ISE=";
    for (number, variables) in [(1, &[][..]), (2, &[("CALLBACK_SIGNING_SECRET", secret)])] {
        let running = Running::start(&directory.join("a.db"), variables).await;
        let accepted = running.ask(&station(number), DRIVER, &receiver.url("/cb")).await;
        assert!(accepted.unwrap());
        let callback = receiver.wait_for_station(&station(number), WAIT).await;
        let id = callback.header("webhook-id").unwrap();
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
        let signature = callback.header("webhook-signature");
        assert_eq!(signature.is_some(), number == 2, "{signature:?}");
        assert!(signature.is_none_or(|signature| signature.starts_with("v1,")));
    }
}

#[tokio::test]
async fn the_variables_of_the_services_work() {
    let (directory, receiver) = (Scratch::new(), Receiver::start().await);
    let database = directory.join("a.db");
    let variables = [
        ("AUTHORIZATION_TIMEOUT_SEC", "0"),
        ("CALLBACK_NETWORKS", "public"),
        ("REDIS_HOST", "redis"),
        ("FLASK_RUN_PORT", "1"),
    ];
    let running = Running::start(&database, &variables).await;
    running
        .process
        .wait_for_line("have no effect here: REDIS_HOST, FLASK_RUN_PORT", WAIT)
        .await;
    assert!(
        running
            .ask(&station(1), DRIVER, &receiver.url("/cb"))
            .await
            .unwrap()
    );
    assert_eq!(all_done(&database).await[&station(1)], ["unknown"]);
    assert_eq!(receiver.count(), 0);
}
