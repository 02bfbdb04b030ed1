#![doc = include_str!("../README.md")]

pub mod acl_client;
mod acl_outage;
pub mod arguments;
pub mod audit_log;
pub mod authorize;
pub mod callback;
pub mod callback_status;
pub mod callback_url;
#[cfg(feature = "servers")]
mod cli;
pub mod config;
pub mod driver_token;
pub mod looks;
#[cfg(feature = "servers")]
pub mod run;
pub mod target_policy;
pub mod task;
pub mod verdict;

#[cfg(feature = "servers")]
pub use run::{main, variables};
