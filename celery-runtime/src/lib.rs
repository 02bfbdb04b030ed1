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

mod after;
mod amqp;
mod banner;
pub mod broker_look;
mod broker_url;
mod canvas;
mod connection;
mod declaration;
mod delayed_delivery;
mod destination;
mod exception;
mod log_format;
mod nodename;
mod origin;
mod outbox;
mod producer;
mod publisher;
mod queue;
mod rate_limit;
mod registry;
mod result_backend;
mod shutdown;
mod task;
mod task_options;
mod time_limit;
pub mod worker;

pub use banner::banner;
pub use broker_url::{BrokerUrl, BrokerUrlError};
pub use connection::BrokerError;
pub use destination::Destination;
pub use exception::Exception;
pub use log_format::{CeleryFormat, TaskFields};
pub use nodename::nodename;
pub use origin::{hostname, sender};
pub use producer::{Producer, ProducerConfig};
pub use publisher::PublishError;
pub use queue::{ExchangeType, Queue};
pub use rate_limit::{RateLimit, RateLimitError};
pub use registry::{RegisteredTask, Registry};
#[cfg(feature = "redis")]
pub use result_backend::RedisUrl;
pub use result_backend::{ResultBackend, ResultBackendError};
pub use shutdown::{Shutdown, ShutdownHandle, Stage};
pub use task::{DeliveryInfo, Outcome, Request, Retry, TaskError, TaskResult, When};
pub use task_options::TaskOptions;
pub use worker::{Status, Worker, WorkerConfig};
