//! A disk that fills up quickly.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use harness::Scratch;

/// A file system of its own, mounted until this value is dropped.
pub(crate) struct SmallDisk {
    pub(crate) at: PathBuf,
    _directory: Scratch,
}

impl SmallDisk {
    pub(crate) fn mount(kib: usize) -> Self {
        let directory = Scratch::new();
        let at = directory.join("disk");
        fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        let size = format!("size={kib}k");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at);
        let mounted = mount.output().unwrap();
        assert!(
            mounted.status.success(),
            "mounting a small disk needs root; as another user leave these rows out: \
             make test-faults FAULTS='--skip spool:: --skip disk'\n{}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self {
            at,
            _directory: directory,
        }
    }

    /// Fills the remaining space until the returned file is removed.
    pub(crate) fn fill(&self) -> PathBuf {
        let filler = self.at.join("filler");
        let mut file = File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Unmounts lazily, because a program may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
