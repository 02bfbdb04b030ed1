#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "amqp"),
    expect(dead_code, reason = "only the worker on AMQP uses all parts of a task")
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
