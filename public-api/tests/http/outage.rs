//! An unavailable queue, and bodies that are too large.

use harness::recorded::{self, STATION};

use crate::recorder::Running;

#[tokio::test]
async fn an_unavailable_queue_is_a_503_with_retry_after() {
    let service = Running::start().await;
    service.queue.go_away();
    for method in ["GET", "POST", "HEAD"] {
        let request = format!(
            "{method} /station/{STATION}/driver/t/authorize?callback_url=u HTTP/1.1\r\n\
             Host: 127.0.0.1\r\nConnection: close\r\n\r\n"
        );
        let error = serde_json::json!({ "error": "The request could not be enqueued; try again" });
        let mut expected = recorded::refusal(503).with_json(Some(503), &error);
        expected.retry_after = Some("1".to_owned());
        if method == "HEAD" {
            expected = expected.without_body();
        }
        assert_eq!(service.send(request.as_bytes()).await, expected, "{method}");
    }
    assert_eq!(service.queue.take(), Vec::new());
}

/// Rows "API body of 10 MB" and "API body of 50 MB": Python accepts them; we refuse them before the body is sent.
#[tokio::test]
async fn a_large_body_is_refused_unread() {
    let service = Running::start().await;
    for megabytes in [10, 50] {
        let request = format!(
            "POST /station/{STATION}/driver/t/authorize HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: {megabytes}000000\r\n\r\n"
        );
        assert_eq!(
            service.send(request.as_bytes()).await.status,
            Some(413),
            "{megabytes}"
        );
    }
    assert_eq!(service.queue.take(), Vec::new());
}
