//! Where records are kept while the audit log is down.

use std::path::{Path, PathBuf};

use explain::explain;
use service_kit::env::{Reader, Variable};

use crate::audit_log::spool::{OpenError, Spool};

pub(super) const AUDIT_SPOOL: Variable = Variable {
    name: "AUDIT_SPOOL",
    default: Some(DEFAULT_SPOOL),
    meaning: "SQLite file that keeps records while the audit log is down",
};
pub(super) const AUDIT_SPOOL_MAX_MIB: Variable = Variable {
    name: "AUDIT_SPOOL_MAX_MIB",
    default: Some("1024"),
    meaning: "limit of AUDIT_SPOOL's size in MiB; when it is full, messages stay unacknowledged",
};

/// In the working directory.
const DEFAULT_SPOOL: &str = "audit-spool.db";

/// The spool of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The file that was asked for; none: `audit-spool.db` in the working directory, if that can be written.
    pub path: Option<PathBuf>,
    /// The limit of its size.
    pub max_mib: u32,
}

impl SpoolConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let expected = "a whole number of MiB from 1 to 1048576";
        let max_mib = reader.parse(&AUDIT_SPOOL_MAX_MIB, expected);
        if !(1..=1 << 20).contains(&max_mib) {
            reader.mistake(&AUDIT_SPOOL_MAX_MIB, format!("is {max_mib}, expected {expected}"));
        }
        Self {
            path: reader.optional(&AUDIT_SPOOL).map(PathBuf::from),
            max_mib,
        }
    }

    /// The file, unless it turns out that it cannot be.
    #[cfg(feature = "servers")]
    pub(crate) fn path(&self) -> PathBuf {
        let path = self.path.as_deref().unwrap_or(Path::new(DEFAULT_SPOOL));
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }

    /// The spool. None, with a warning, if nobody asked for one and the working directory cannot be written.
    ///
    /// # Errors
    ///
    /// The file that was asked for cannot be written, or a file is there that is not a spool of this version.
    pub fn spool(&self) -> Result<Option<Spool>, OpenError> {
        let default = Path::new(DEFAULT_SPOOL);
        match (
            Spool::new(self.path.as_deref().unwrap_or(default), self.max_mib),
            &self.path,
        ) {
            (Err(error), None) if error.is_unwritable() => {
                tracing::warn!(
                    "there is no spool: {}. While the audit log is down, records are kept back and their messages \
                     unacknowledged",
                    explain(&error)
                );
                Ok(None)
            }
            (spool, _) => spool.map(Some),
        }
    }
}
