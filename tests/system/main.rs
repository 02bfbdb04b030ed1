//! Cross-service tests on real servers: RabbitMQ, Redis, Python's Celery and the Python twins.

mod access_log;
mod broker_link;
mod check;
mod command_line;
mod documents;
mod faults;
mod frozen_broker;
mod frozen_peers;
mod interop;
mod layering;
mod limits;
mod load;
mod log_gone;
mod matrix;
mod mistakes;
mod mixed;
mod panics;
mod readme;
mod reliability;
mod scripts;
mod secrets;
mod services;
mod shutdown;
mod spool;
mod units;
mod wire;
