//! The public API: accepts an authorization request over HTTP and puts it on the task queue; the
//! verdict goes to the caller's `callback_url` later.

mod amqp_queue;
mod authorize;
mod callback_url;
mod check;
mod config;
mod json_body;
mod path;
mod service;
mod task_queue;

pub use amqp_queue::AmqpQueue;
pub use authorize::{Authorize, router};
pub use config::{Config, VARIABLES};
pub use path::ACCESS_LOG_PATH;
pub use service::main;
pub use task_queue::{TaskQueue, Unavailable};
