//! What every program of this workspace needs and no domain word: environment, log, shutdown,
//! health, and serving HTTP.

pub mod admin;
pub mod background;
pub mod check;
pub mod completions;
pub mod env;
pub mod healthcheck;
pub mod http;
pub mod program;
pub mod reach;
pub mod shutdown;
pub mod telemetry;
