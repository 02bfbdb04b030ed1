#![doc = include_str!("../README.md")]

#[cfg(feature = "servers")]
mod amqp_queue;
mod authorize;
mod callback_url;
#[cfg(feature = "servers")]
mod check;
#[cfg(feature = "servers")]
mod config;
mod json_body;
mod path;
#[cfg(feature = "servers")]
mod service;
mod task_queue;

#[cfg(feature = "servers")]
pub use amqp_queue::AmqpQueue;
pub use authorize::{Authorize, router};
#[cfg(feature = "servers")]
pub use config::{Config, VARIABLES};
pub use path::ACCESS_LOG_PATH;
#[cfg(feature = "servers")]
pub use service::main;
pub use task_queue::{TaskQueue, Unavailable};
