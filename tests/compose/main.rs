//! Tests of the deployment in docker-compose.yml with a real engine, through its published ports. `make test-compose`
//! runs them, after scripts/setup-compose has built the images.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]
#![expect(clippy::print_stdout, reason = "the log of the run says what was counted")]

mod brokers;
mod engine;
mod matrix;
mod outages;
mod requests;
mod stack;
mod swaps;
mod table;
mod traffic;
