#![doc = include_str!("../README.md")]

mod acl;
mod allow_list;
#[cfg(feature = "servers")]
mod check;
#[cfg(feature = "servers")]
mod config;
mod path;
#[cfg(feature = "servers")]
mod redis_allow_list;
#[cfg(feature = "servers")]
mod service;

pub use acl::router;
pub use allow_list::{AllowList, Unavailable};
#[cfg(feature = "servers")]
pub use config::{Config, VARIABLES};
pub use path::ACCESS_LOG_PATH;
#[cfg(feature = "servers")]
pub use redis_allow_list::{BadRedisAddress, RedisAllowList};
#[cfg(feature = "servers")]
pub use service::main;
