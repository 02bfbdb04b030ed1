#![doc = include_str!("../README.md")]
#![expect(
    clippy::missing_panics_doc,
    reason = "a harness fails the test by panicking, with a message"
)]

mod books;
mod broker;
mod elasticsearch;
mod erlang;
mod eventually;
mod guard;
pub mod http;
mod log_place;
mod message;
mod open_files;
mod output;
mod port;
mod process;
mod procfs;
mod proxy;
pub mod python;
mod received;
mod receiver;
pub mod recorded;
mod redact;
mod redis_server;
mod reply;
mod vhost;

pub use books::{Books, Decision, adr};
pub use broker::Broker;
pub use elasticsearch::{Document, Elasticsearch};
pub use eventually::eventually;
pub use guard::Scratch;
pub use log_place::LogPlace;
pub use message::Delivered;
pub use port::free_port;
pub use process::{Process, Signal};
pub use proxy::Proxy;
pub use python::Service;
pub use received::Received;
pub use receiver::Receiver;
pub use redact::redacted;
pub use redis_server::{AuditKeys, AuditRecord, Redis};
pub use reply::{Gate, Reply};
pub use vhost::{Consumer, Depth, Vhost};

/// The text at the end of every message about a missing server.
const SETUP: &str = "; run `make test`, or scripts/setup, which installs what the tests need";
