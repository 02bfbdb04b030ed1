//! Our own programs, killed with SIGKILL.

use std::time::Duration;

use harness::Reply;
use tokio::time::sleep;

use crate::rig::{Plan, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn public_api() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    rig.api.kill();
    sleep(Duration::from_secs(2)).await;
    rig.over();
    rig.api.start().await;
    let figures = rig.settle("public-api: kill -9").await;
    assert!(figures.unanswered > 0, "{figures:?}");
}

/// Callbacks are slow, so that many tasks are running when the worker is killed.
#[tokio::test(flavor = "multi_thread")]
async fn worker() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    let slowly = Reply::After(Duration::from_millis(300), Box::new(Reply::status(200)));
    rig.callbacks.answer(slowly);
    sleep(Duration::from_secs(1)).await;
    rig.worker.kill();
    rig.callbacks.answer(Reply::status(200));
    sleep(Duration::from_secs(2)).await;
    rig.over();
    rig.worker.start().await;
    let figures = rig.settle("worker: kill -9").await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
    assert!(figures.duplicate_callbacks > 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn acl_service() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    rig.acl.kill();
    sleep(Duration::from_secs(5)).await;
    rig.over();
    rig.acl.start().await;
    let figures = rig.settle("acl-service: kill -9, away for 5 s").await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
    assert!(figures.statuses["unknown"] > 100, "{figures:?}");
}
