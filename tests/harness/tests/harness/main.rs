//! Tests of the harness itself.

mod broker;
mod process;
mod python;
mod receiver;
mod redis_server;
mod shared_broker;
mod twins;
