//! Loss of the program logs: standard error of the API, the worker and the ACL service.

use std::fs;
use std::time::Duration;

use harness::{LogPlace, eventually};
use tokio::time::sleep;

use crate::rig::{Plan, Rig};
use crate::small_disk::SmallDisk;

const WAIT: Duration = Duration::from_secs(30);

/// Starts a rig whose three programs log everything they can to these places.
async fn logging_to(places: [LogPlace; 3]) -> Rig {
    Rig::shared(Plan {
        log_places: Some(places),
        ..Plan::default()
    })
    .await
}

/// Waits, then asserts that the rig recovers from the fault and that no program has been restarted.
async fn nothing_is_lost(mut rig: Rig, fault: &str) {
    sleep(Duration::from_secs(8)).await;
    rig.over();
    rig.all_live();
    let figures = rig.settle(fault).await;
    let (refused, doubled) = (figures.refused + figures.unanswered, figures.duplicate_callbacks);
    assert_eq!((refused, doubled), (0, 0), "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_gone() {
    let mut rig = logging_to([(); 3].map(|()| LogPlace::pipe())).await;
    rig.calm().await;
    rig.log_places(LogPlace::lose);
    nothing_is_lost(rig, "log of each program: reader gone").await;
}

/// Lost lines are counted while nobody reads. Each program logs the number once, when someone reads again.
#[tokio::test(flavor = "multi_thread")]
async fn reader_restarted() {
    let mut rig = logging_to([(); 3].map(|()| LogPlace::pipe())).await;
    rig.calm().await;
    rig.log_places(LogPlace::lose);
    sleep(Duration::from_secs(8)).await;
    rig.log_places(LogPlace::come_back);
    rig.over();
    for index in 0..3 {
        eventually(format!("the lines that program {index} lost"), WAIT, || async {
            match rig
                .log_text(index)
                .matches("could not be written and are lost")
                .count()
            {
                1 => Ok(()),
                count => Err(format!("{count} lines about it")),
            }
        })
        .await;
    }
    rig.all_live();
    let figures = rig.settle("log of each program: reader away for 8 s").await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_standing_still() {
    let mut rig = logging_to([(); 3].map(|()| LogPlace::pipe())).await;
    rig.calm().await;
    rig.log_places(LogPlace::stand_still);
    nothing_is_lost(rig, "log of each program: reader stands still").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_gone() {
    let mut rig = logging_to([(); 3].map(|()| LogPlace::terminal())).await;
    rig.calm().await;
    rig.log_places(LogPlace::lose);
    nothing_is_lost(rig, "log of each program: terminal gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_full() {
    let disk = SmallDisk::mount(16 * 1024);
    let files = ["api", "worker", "acl"].map(|name| disk.at.join(name));
    let mut rig = logging_to(files.clone().map(LogPlace::file)).await;
    rig.calm().await;
    let filler = disk.fill();
    sleep(Duration::from_secs(8)).await;
    fs::remove_file(filler).unwrap();
    rig.over();
    for file in &files {
        eventually(format!("the lines lost in {}", file.display()), WAIT, || async {
            let log = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
            match log
                .matches("could not be written and are lost: No space left")
                .count()
            {
                1 => Ok(()),
                count => Err(format!("{count} lines about it")),
            }
        })
        .await;
    }
    rig.all_live();
    let figures = rig.settle("log of each program: disk full for 8 s").await;
    assert_eq!(figures.refused + figures.unanswered, 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closed() {
    let mut rig = logging_to([(); 3].map(|()| LogPlace::closed())).await;
    rig.calm().await;
    nothing_is_lost(rig, "log of each program: closed from the start").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_full() {
    let mut rig = logging_to([(); 3].map(|()| LogPlace::file("/dev/full"))).await;
    rig.calm().await;
    nothing_is_lost(rig, "log of each program: /dev/full from the start").await;
}
