#![doc = include_str!("../README.md")]

pub mod admin;
pub mod background;
pub mod check;
pub mod completions;
pub mod env;
pub mod healthcheck;
pub mod http;
pub mod program;
pub mod reach;
pub mod readiness;
pub mod shutdown;
pub mod telemetry;
