//! Tasks: their registration, requests and outcomes, and how their messages are settled.

pub(crate) mod exception;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod rate_limit;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod settlement;
pub(crate) mod time_limits;
