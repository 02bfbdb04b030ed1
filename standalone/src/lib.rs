//! The three services in one process on one SQLite file: no server is needed. Requests pass through the same handlers,
//! messages through the same encoder and decoder as on RabbitMQ and Redis.

mod allow_list;
mod audit_log;
mod check;
mod cli;
mod config;
mod database;
mod demo;
mod ports;
mod program;
mod queue;
mod receiver;
mod report;
mod runner;
mod services;
mod terminal;
mod variables;
mod welcome;

pub use program::main;
pub use variables::variables;
