//! The public API over HTTP. What it enqueues is recorded instead of sent; the system tests send it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by panicking")]

mod corpus;
mod deviations;
mod enqueued;
mod outage;
mod program;
mod recorder;
mod requests;
