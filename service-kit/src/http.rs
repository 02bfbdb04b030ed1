//! Serving HTTP: listening, limits, reading requests and writing answers as Flask does.

mod access;
mod address;
mod answer;
mod connections;
mod limits;
mod resource;
mod server;
mod target;

pub use access::{ACCESS_LOG, AccessLog, Segment, read_access_log};
pub use address::{BindError, ListenAddress, NotAnAddress};
pub use answer::{error, json, unavailable};
pub use limits::Limits;
pub use resource::Resource;
pub use server::{serve, serve_logging};
pub use target::{Resolved, Target};
