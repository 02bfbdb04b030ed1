//! The audit log down and no room for its spool: records are kept back, their messages unacknowledged, verdicts stop.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::Scratch;
use tokio::time::sleep;

use crate::rig::{Plan, Rig};

/// A file system of half a MiB, for as long as this lives.
struct SmallDisk {
    at: PathBuf,
    _directory: Scratch,
}

impl SmallDisk {
    fn mount() -> Self {
        let directory = Scratch::new();
        let at = directory.join("disk");
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(&at);
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

    fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the worker may have the file open still.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full() {
    let disk = SmallDisk::mount();
    let mut rig = Rig::shared(Plan {
        spool: Some(disk.path().join("spool.db")),
        ..Plan::default()
    })
    .await;
    rig.calm().await;
    rig.log_server().kill();
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
