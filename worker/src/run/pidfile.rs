//! The file that `--pidfile` names.

use std::path::Path;

use anyhow::Context as _;

/// A file with the process id, removed at the end.
pub(super) struct Pidfile<'p>(&'p Path);

impl<'p> Pidfile<'p> {
    pub(super) fn write(path: &'p Path) -> anyhow::Result<Self> {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .with_context(|| format!("cannot write the process id to {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Pidfile<'_> {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(self.0);
    }
}
