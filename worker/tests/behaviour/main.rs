//! The domain half of the worker, compared case by case with the recordings of the Python worker
//! (tests/golden/*.jsonl).
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod acl_outage;
mod acl_replies;
mod acl_request;
mod audit_outage;
mod authorize_semantics;
#[path = "../../../callback-client/tests/behaviour/corpus.rs"]
mod corpus;
mod driver_tokens;
#[cfg(feature = "elasticsearch")]
mod elastic_requests;
#[path = "../../../callback-client/tests/behaviour/peer.rs"]
#[expect(dead_code, reason = "only callback-client's tests use all of it")]
mod peer;
mod redis_log;
mod spool;
mod stack;
#[path = "../../../callback-client/tests/behaviour/tls_peer.rs"]
#[expect(dead_code, reason = "only callback-client's tests use all of it")]
mod tls_peer;
