//! A disk that is soon full.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use harness::Scratch;

/// A file system of its own, for as long as this lives.
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

    /// Takes all room that is left, until the file that this returns is removed.
    pub(crate) fn fill(&self) -> PathBuf {
        let filler = self.at.join("filler");
        let mut file = File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a program may have a file of it open still.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
