//! Cross-service tests on real servers: RabbitMQ, Redis, Python's Celery and the Python twins.

mod broker_link;
mod documents;
mod faults;
mod interop;
mod layering;
mod limits;
mod load;
mod matrix;
mod mistakes;
mod mixed;
mod readme;
mod reliability;
mod scripts;
mod secrets;
mod services;
mod shutdown;
mod spool;
mod units;
mod wire;
