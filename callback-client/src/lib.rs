#![doc = include_str!("../README.md")]

mod callback_status;
pub mod callback_url;
mod client;
pub mod proxy;
mod python_text;
pub mod target_policy;
pub mod tls;
mod trouble;
pub mod webhook;

pub use callback_status::{CallbackStatus, Failure};
pub use client::{CallbackClient, CallbackConfig, USER_AGENT};
pub use trouble::shown;
