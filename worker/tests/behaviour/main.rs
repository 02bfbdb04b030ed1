//! The domain half of the worker against what was recorded of Python's (tests/golden/*.jsonl), case by case.
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
#[expect(dead_code, reason = "callback-client's tests need more of it")]
mod peer;
mod redis_log;
mod spool;
mod stack;
#[path = "../../../callback-client/tests/behaviour/tls_peer.rs"]
#[expect(dead_code, reason = "callback-client's tests need more of it")]
mod tls_peer;
