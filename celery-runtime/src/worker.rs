//! The worker: consumes task messages and runs them as a Celery worker does.

#[cfg(feature = "amqp")]
pub(crate) mod arrivals;
#[cfg(feature = "amqp")]
pub(crate) mod banner;
#[cfg(feature = "amqp")]
pub(crate) mod config;
#[cfg(feature = "amqp")]
mod consumer;
#[cfg(feature = "amqp")]
mod course;
#[cfg(feature = "amqp")]
mod delivery;
#[cfg(feature = "amqp")]
mod effects;
#[cfg(feature = "amqp")]
mod link;
#[cfg(feature = "amqp")]
mod observer;
#[cfg(feature = "amqp")]
mod pool;
#[cfg(feature = "amqp")]
mod progress;
#[cfg(feature = "amqp")]
mod qos;
pub mod report;
#[cfg(feature = "amqp")]
mod state;
#[cfg(feature = "amqp")]
pub(crate) mod status;
#[cfg(feature = "amqp")]
mod stopping;
pub(crate) mod strategy;
#[cfg(feature = "amqp")]
pub(crate) mod supervisor;
