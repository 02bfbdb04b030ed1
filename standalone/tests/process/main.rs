//! The program as a user sees it: started, used, stopped, killed and started again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod crash;
mod mistakes;
mod running;
mod verdicts;
