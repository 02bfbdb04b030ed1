//! The harness itself, as tests use it.

mod broker;
mod process;
mod python;
mod receiver;
mod redis_server;
mod shared_broker;
mod twins;
