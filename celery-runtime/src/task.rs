//! Tasks: what is registered, what a run gets, how it ends, and what that means for its message.

pub(crate) mod exception;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod rate_limit;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod settlement;
pub(crate) mod time_limits;
