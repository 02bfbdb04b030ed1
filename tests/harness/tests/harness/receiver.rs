//! Tests of the callback receiver and the HTTP client against each other.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{Gate, Received, Receiver, Reply, http};
use serde_json::json;

/// This limit is shorter than that of the HTTP client.
const SOON: Duration = Duration::from_secs(40);

#[tokio::test]
async fn records_a_request_to_the_letter() {
    let receiver = Receiver::start().await;
    let request = "POST /cb?x=%41&y HTTP/1.1\r\nHost: me\r\nX-ODD:  two  words \r\nContent-Length: 3\r\n\
                   Connection: close\r\n\r\nabcGET /status/204 HTTP/1.0\r\n\r\n";
    let address = format!("127.0.0.1:{}", receiver.port());
    let requests = tokio::select! {
        requests = receiver.wait_for(2, SOON) => requests,
        ended = http::raw(&address, request.as_bytes()) => panic!("the connection stays open: {ended:?}"),
    };
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].target, "/cb?x=%41&y");
    assert_eq!(requests[0].query("x"), Some("%41"));
    assert_eq!(
        requests[0].headers[1],
        ("X-ODD".to_owned(), "two  words".to_owned())
    );
    assert_eq!(requests[0].body, b"abc");
    assert_eq!(requests[1].path(), "/status/204");
}

#[tokio::test]
async fn behaves_as_the_path_says() {
    let receiver = Receiver::start().await;
    assert_eq!(http::get(&receiver.url("/anything")).await.status, 200);
    assert_eq!(http::get(&receiver.url("/status/503")).await.status, 503);
    let redirect = http::get(&receiver.url("/redirect/307/status/201")).await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (307, Some("/status/201"))
    );
    let start = Instant::now();
    assert_eq!(http::get(&receiver.url("/slow/150")).await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert!(
        http::try_send("GET", &receiver.url("/close"), &[], "")
            .await
            .is_err()
    );
    let url = receiver.url("/hang");
    let mut hang = std::pin::pin!(http::get(&url));
    tokio::select! {
        answer = &mut hang => panic!("{answer:?}"),
        requests = receiver.wait_for(6, SOON) => assert_eq!(requests.len(), 6),
    }
    let answer = tokio::time::timeout(Duration::from_millis(200), hang).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn a_gate_keeps_answers_back_until_it_is_opened() {
    let gate = Gate::closed();
    let behind = gate.clone();
    let rule = move |_: &Received| Reply::Behind(behind.clone(), Box::new(Reply::status(204)));
    let receiver = Receiver::start_with(rule).await;
    let url = receiver.url("/");
    let both = async { tokio::join!(http::get(&url), http::get(&url)) };
    let mut both = std::pin::pin!(both);
    tokio::select! {
        answers = &mut both => panic!("{answers:?}"),
        _requests = receiver.wait_for(2, SOON) => {}
    }
    gate.open();
    let (one, two) = both.await;
    assert_eq!((one.status, two.status), (204, 204));
    assert_eq!(http::get(&url).await.status, 204);
}

#[tokio::test]
async fn takes_hundreds_at_once() {
    let receiver =
        Receiver::start_with(|request: &Received| Reply::json(&json!({ "you": request.target }))).await;
    let urls: Vec<String> = (0..300)
        .map(|number| receiver.url(&format!("/{number}")))
        .collect();
    let body = json!({ "station_id": "s" });
    let answers = join_all(urls.iter().map(|url| http::post_json(url, &body))).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.json(), json!({ "you": format!("/{number}") }));
    }
    assert_eq!(receiver.by_station()["s"].len(), 300);
    assert_eq!(
        receiver.wait_for_station("s", SOON).await.field("station_id"),
        "s"
    );
}
