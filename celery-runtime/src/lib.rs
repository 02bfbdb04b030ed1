//! A Celery worker and producer for Rust: tasks cross RabbitMQ as genuine Celery messages, and nothing is lost.
//!
//! A complete worker, started as `celery -A proj worker` would start its Python twin:
//!
//! ```no_run
//! use celery_protocol::Value;
//! use celery_runtime::{Registry, Shutdown, TaskOptions, Worker, WorkerConfig};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut tasks = Registry::new();
//!     tasks.register(TaskOptions::named("proj.tasks.echo"), |request| async move {
//!         Ok(Value::from(format!("got {}", request.message().args.py_repr())))
//!     });
//!     let config = WorkerConfig::new("amqp://guest:guest@localhost:5672//".parse()?, "celery@rust");
//!     let shutdown = Shutdown::on_signals(false)?;
//!     let exit_code = Worker::new(config, tasks).run(shutdown).await;
//!     std::process::exit(exit_code.into())
//! }
//! ```
//!
//! Messages are acked after their run (late) unless told otherwise, a panic is a failed task, and one
//! supervisor comes back by itself after every kind of connection loss.

#![cfg_attr(
    not(feature = "amqp"),
    expect(dead_code, reason = "the worker on AMQP uses the rest of what a task is")
)]

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "amqp")]
mod canvas;
mod log_format;
mod node;
#[cfg(feature = "amqp")]
mod persistence;
#[cfg(feature = "amqp")]
mod producer;
#[cfg(feature = "amqp")]
mod result_backend;
#[cfg(feature = "amqp")]
mod shutdown;
mod task;
mod worker;

#[cfg(feature = "amqp")]
pub use amqp::broker_look;
#[cfg(feature = "amqp")]
pub use amqp::broker_url::BrokerUrl;
#[cfg(feature = "amqp")]
pub use amqp::connection::{AmqpError, BrokerError};
#[cfg(feature = "amqp")]
pub use amqp::destination::Destination;
#[cfg(feature = "amqp")]
pub use amqp::endpoint::BrokerUrlError;
#[cfg(feature = "amqp")]
pub use amqp::publisher::PublishError;
#[cfg(feature = "amqp")]
pub use amqp::queue::{ExchangeType, Queue};
pub use log_format::{CeleryFormat, TaskFields};
pub use node::nodename::nodename;
pub use node::origin::{hostname, sender};
#[cfg(feature = "amqp")]
pub use producer::{Producer, ProducerConfig};
#[cfg(feature = "redis")]
pub use result_backend::RedisUrl;
#[cfg(feature = "amqp")]
pub use result_backend::{ResultBackend, ResultBackendError};
#[cfg(feature = "amqp")]
pub use shutdown::{Shutdown, ShutdownHandle, Stage};
pub use task::exception::Exception;
pub use task::options::TaskOptions;
pub use task::outcome::{Outcome, Retry, TaskError, TaskResult, When};
pub use task::rate_limit::{RateLimit, RateLimitError};
pub use task::registry::{RegisteredTask, Registry};
pub use task::request::{DeliveryInfo, Request};
pub use task::settlement::Settlement;
#[cfg(feature = "amqp")]
pub use worker::banner::banner;
#[cfg(feature = "amqp")]
pub use worker::config::WorkerConfig;
pub use worker::report;
#[cfg(feature = "amqp")]
pub use worker::status::Status;
pub use worker::strategy::{Disposition, decide};
#[cfg(feature = "amqp")]
pub use worker::supervisor::Worker;
