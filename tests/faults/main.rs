//! Faults under load: every accepted request is called back and logged. `make test-faults` runs these tests
//! one after another; `make fault-table` writes their figures into docs/RELIABILITY.md.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

mod document;
mod ledger;
mod load;
mod log;
mod rig;
mod small_disk;
mod table;

mod acl_service;
mod callbacks;
mod clocks;
mod elasticsearch;
mod lost_log;
mod network;
mod outage;
mod processes;
mod rabbitmq;
mod redis;
mod soak;
mod spool;
