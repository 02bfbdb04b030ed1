//! The configuration of the spool, which keeps records while the audit log is down.

use std::path::{Path, PathBuf};

use explain::explain;
use service_kit::env::{Reader, Variable};

use crate::audit_log::spool::{OpenError, Spool};

pub(super) const AUDIT_SPOOL: Variable = Variable {
    name: "AUDIT_SPOOL",
    default: Some(DEFAULT_SPOOL),
    meaning: "SQLite file for records while the audit log is down",
};
pub(super) const AUDIT_SPOOL_MAX_MIB: Variable = Variable {
    name: "AUDIT_SPOOL_MAX_MIB",
    default: Some("1024"),
    meaning: "maximum size of AUDIT_SPOOL in MiB; if it is full, messages stay unacknowledged",
};

/// The default file, in the working directory.
const DEFAULT_SPOOL: &str = "audit-spool.db";

/// The configuration of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The configured file. If there is none, `audit-spool.db` in the working directory is used, if that is writable.
    pub path: Option<PathBuf>,
    /// The limit of its size in MiB.
    pub max_mib: u32,
}

impl SpoolConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let expected = "a whole number of MiB from 1 to 1048576";
        let max_mib = reader.parse(&AUDIT_SPOOL_MAX_MIB, expected);
        if !(1..=1 << 20).contains(&max_mib) {
            reader.mistake(&AUDIT_SPOOL_MAX_MIB, format!("is {max_mib}; expected {expected}"));
        }
        Self {
            path: reader.optional(&AUDIT_SPOOL).map(PathBuf::from),
            max_mib,
        }
    }

    /// Returns the absolute path of the file, whether or not it can be used.
    #[cfg(feature = "servers")]
    pub(crate) fn path(&self) -> PathBuf {
        let path = self.path.as_deref().unwrap_or(Path::new(DEFAULT_SPOOL));
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }

    /// Returns the spool. If no file is configured and the working directory is not writable, logs a warning and
    /// returns `None`.
    ///
    /// # Errors
    ///
    /// If the configured file is not writable, or if the file exists and is not a spool of this version.
    pub fn spool(&self) -> Result<Option<Spool>, OpenError> {
        let default = Path::new(DEFAULT_SPOOL);
        match (
            Spool::new(self.path.as_deref().unwrap_or(default), self.max_mib),
            &self.path,
        ) {
            (Err(error), None) if error.is_unwritable() => {
                tracing::warn!(
                    "there is no spool: {}. While the audit log is down, records are held back and their messages stay \
                     unacknowledged",
                    explain(&error)
                );
                Ok(None)
            }
            (spool, _) => spool.map(Some),
        }
    }
}
