//! The audit log is down and its spool has no room: records are held back, their messages stay
//! unacknowledged, and verdicts stop. Also, a worker that starts without room.

use std::fs;
use std::time::Duration;

use harness::eventually;
use tokio::time::sleep;

use crate::rig::{Plan, Rig};
use crate::small_disk::SmallDisk;

/// Starts a rig under load whose spool is on this disk, and kills its audit log.
async fn with_the_log_down(disk: &SmallDisk) -> Rig {
    let mut rig = Rig::shared(Plan {
        spool: Some(disk.at.join("spool.db")),
        ..Plan::default()
    })
    .await;
    rig.calm().await;
    rig.log_server().kill();
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn full() {
    let disk = SmallDisk::mount(512);
    let mut rig = with_the_log_down(&disk).await;
    let full = rig
        .worker
        .process()
        .wait_for_line("records are held back", Duration::from_mins(1))
        .await;
    assert!(full.contains("is full"), "{full}");
    sleep(Duration::from_secs(5)).await;
    let depth = rig.vhost.queue("celery").await;
    assert!(depth.unacked > 0, "{depth:?}");
    rig.log_server().start_again().await;
    rig.over();
    let figures = rig.settle("Redis of the log down, the spool's disk full").await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}

/// Records wait in a spool that cannot even be read for lack of room. New records go to the audit log, which
/// is healthy.
#[tokio::test(flavor = "multi_thread")]
async fn full_at_the_start() {
    let disk = SmallDisk::mount(8 * 1024);
    let mut rig = with_the_log_down(&disk).await;
    let worker = rig.worker.process();
    worker
        .wait_for_line("records go to the spool", Duration::from_mins(1))
        .await;
    sleep(Duration::from_secs(3)).await;
    rig.worker.stop().await;
    let filler = disk.fill();
    rig.log_server().start_again().await;
    rig.worker.start().await;
    let worker = rig.worker.process();
    let full = worker
        .wait_for_line("records are held back", Duration::from_mins(1))
        .await;
    assert!(full.contains("its disk is full"), "{full}");
    let before = rig.ledger.figures().logged;
    eventually("new records in the log", Duration::from_mins(1), || async {
        let logged = rig.ledger.figures().logged - before;
        if logged > 200 {
            Ok(())
        } else {
            Err(format!("{logged} new ones"))
        }
    })
    .await;
    fs::remove_file(filler).unwrap();
    rig.over();
    let figures = rig
        .settle("worker: stopped while records wait, started with the spool's disk full")
        .await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}
