//! The ACL service over HTTP, on a real Redis.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by panicking")]

mod corpus;
mod outage;
mod program;
mod redis_tap;
mod running;
