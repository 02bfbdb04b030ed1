//! The domain half of the worker against what was recorded of Python's (tests/golden/*.jsonl), case by case.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod acl_outage;
mod acl_replies;
mod acl_request;
mod audit_outage;
mod authorize_semantics;
mod callback_bytes;
mod callback_proxies;
mod callback_signature;
mod callback_status;
mod callback_targets;
mod corpus;
mod driver_tokens;
#[cfg(feature = "elasticsearch")]
mod elastic_requests;
mod peer;
mod redis_log;
mod spool;
mod stack;
mod tls_peer;
