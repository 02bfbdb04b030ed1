//! Serving HTTP: listening, limits, JSON answers.

mod address;
mod answer;
mod server;

pub use address::{BindError, ListenAddress};
pub use answer::{error, json};
pub use server::{Limits, serve};
