#![doc = include_str!("../README.md")]

pub mod acl_client;
pub mod arguments;
pub mod audit_log;
pub mod authorize;
#[cfg(feature = "servers")]
mod cli;
pub mod config;
pub mod driver_token;
pub mod looks;
#[cfg(feature = "servers")]
pub mod run;
pub mod task;
mod task_name;
pub mod verdict;

#[cfg(feature = "servers")]
pub use run::{main, variables};
