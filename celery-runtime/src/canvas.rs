//! The messages to send after a task (contract A.9), computed from its message and outcome without any I/O.
//!
//! The rules are Celery's own (`celery/canvas.py` and `celery/app/trace.py` of 5.7), and the tests compare the
//! results with what its worker sends. There is one difference: an errback is always a message. Celery calls
//! errbacks that take more than one argument in its own process; a task in Rust has no such second form.

mod bounds;
mod call;
mod chain;
mod chord;
mod context;
mod draft;
mod error;
mod field;
mod follow;
mod freeze;
mod group;
mod linking;
mod options;
mod plan;
mod retry;
mod signature;

pub(crate) use self::context::Canvas;
pub(crate) use self::error::CanvasError;
pub(crate) use self::plan::{Plan, Publication, Step};

#[cfg(test)]
mod tests;
