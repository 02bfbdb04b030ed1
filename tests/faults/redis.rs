//! Failures of Redis, both the one for permissions and the one for the audit log.

use std::time::Duration;

use tokio::time::sleep;

use crate::rig::{Plan, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn of_the_acl_service() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    rig.allow_list.kill();
    sleep(Duration::from_secs(5)).await;
    rig.allow_list.start_again().await;
    rig.over();
    let figures = rig.settle("Redis of the ACL service: down for 5 s").await;
    assert!(figures.statuses["unknown"] > 100, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_log_down() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    rig.log_server().kill();
    sleep(Duration::from_secs(8)).await;
    rig.log_server().start_again().await;
    rig.over();
    let figures = rig.settle("Redis of the log: down for 8 s").await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_log_silent() {
    let mut rig = Rig::shared(Plan::default()).await;
    rig.calm().await;
    rig.log_server().freeze();
    sleep(Duration::from_secs(8)).await;
    rig.log_server().thaw();
    rig.over();
    let figures = rig.settle("Redis of the log: silent for 8 s (SIGSTOP)").await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}
