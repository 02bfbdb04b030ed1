//! The ACL service: which driver may charge at which station, asked and changed over HTTP and kept
//! in Redis.

mod acl;
mod allow_list;
mod check;
mod config;
mod path;
mod redis_allow_list;
mod service;

pub use acl::router;
pub use allow_list::{AllowList, Unavailable};
pub use config::{Config, VARIABLES};
pub use path::ACCESS_LOG_PATH;
pub use redis_allow_list::RedisAllowList;
pub use service::main;
