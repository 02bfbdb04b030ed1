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
mod after;
#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "amqp")]
mod banner;
#[cfg(feature = "amqp")]
pub mod broker_look;
#[cfg(feature = "amqp")]
mod broker_url;
#[cfg(feature = "amqp")]
mod canvas;
#[cfg(feature = "amqp")]
mod connection;
#[cfg(feature = "amqp")]
mod declaration;
#[cfg(feature = "amqp")]
mod delayed_delivery;
#[cfg(feature = "amqp")]
mod destination;
mod exception;
mod log_format;
mod nodename;
mod origin;
#[cfg(feature = "amqp")]
mod outbox;
#[cfg(feature = "amqp")]
mod producer;
#[cfg(feature = "amqp")]
mod publisher;
#[cfg(feature = "amqp")]
mod queue;
mod rate_limit;
mod registry;
#[cfg(feature = "amqp")]
mod result_backend;
mod settlement;
#[cfg(feature = "amqp")]
mod shutdown;
mod strategy;
mod task;
mod task_options;
mod time_limit;
#[cfg(feature = "amqp")]
pub mod worker;

#[cfg(feature = "amqp")]
pub use banner::banner;
#[cfg(feature = "amqp")]
pub use broker_url::{BrokerUrl, BrokerUrlError};
#[cfg(feature = "amqp")]
pub use connection::BrokerError;
#[cfg(feature = "amqp")]
pub use destination::Destination;
pub use exception::Exception;
pub use log_format::{CeleryFormat, TaskFields};
pub use nodename::nodename;
pub use origin::{hostname, sender};
#[cfg(feature = "amqp")]
pub use producer::{Producer, ProducerConfig};
#[cfg(feature = "amqp")]
pub use publisher::PublishError;
#[cfg(feature = "amqp")]
pub use queue::{ExchangeType, Queue};
pub use rate_limit::{RateLimit, RateLimitError};
pub use registry::{RegisteredTask, Registry};
#[cfg(feature = "redis")]
pub use result_backend::RedisUrl;
#[cfg(feature = "amqp")]
pub use result_backend::{ResultBackend, ResultBackendError};
pub use settlement::Settlement;
#[cfg(feature = "amqp")]
pub use shutdown::{Shutdown, ShutdownHandle, Stage};
pub use strategy::{Disposition, decide};
pub use task::{DeliveryInfo, Outcome, Request, Retry, TaskError, TaskResult, When};
pub use task_options::TaskOptions;
#[cfg(feature = "amqp")]
pub use worker::{Status, Worker, WorkerConfig};
