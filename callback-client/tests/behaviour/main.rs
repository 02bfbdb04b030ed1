//! The callback client, compared with the recordings of Python's (tests/golden/callback-status.jsonl) and on real
//! sockets.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod bytes;
mod clients;
mod corpus;
mod peer;
mod proxies;
mod signature;
mod status;
mod targets;
mod tls_peer;
