//! The checks of `--check`: everything that the worker needs.

mod callbacks;
#[cfg(feature = "servers")]
mod servers;

pub use self::callbacks::callbacks;
#[cfg(feature = "servers")]
pub(crate) use self::servers::{audit_log, brokers, file, task};
