#![doc = include_str!("../README.md")]

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
