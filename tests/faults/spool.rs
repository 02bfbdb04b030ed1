//! The audit log down and no room for its spool: records are kept back, their messages unacknowledged, verdicts stop. And a
//! worker that starts when there is no room.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use harness::{Scratch, eventually};
use tokio::time::sleep;

use crate::rig::{Plan, Rig};

/// A file system of its own, for as long as this lives.
struct SmallDisk {
    at: PathBuf,
    _directory: Scratch,
}

impl SmallDisk {
    fn mount(kib: usize) -> Self {
        let directory = Scratch::new();
        let at = directory.join("disk");
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        let size = format!("size={kib}k");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at);
        let mounted = mount.output().unwrap();
        assert!(
            mounted.status.success(),
            "mounting a small disk needs root; as another user leave this row out: \
             make test-faults FAULTS='--skip spool::'\n{}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self {
            at,
            _directory: directory,
        }
    }

    /// Takes all room that is left, until the file that this returns is removed.
    fn fill(&self) -> PathBuf {
        let filler = self.at.join("filler");
        let mut file = File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the worker may have the file open still.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// A rig under load whose spool is on this disk, and whose audit log has just been killed.
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
        .wait_for_line("records are kept back", Duration::from_mins(1))
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

/// Records wait in the spool, and it cannot even be read for want of room. What comes goes to the audit log, which is well.
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
        .wait_for_line("records are kept back", Duration::from_mins(1))
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
