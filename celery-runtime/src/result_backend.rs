//! Result backends (`--result-backend`, `RESULT_BACKEND`), for `AsyncResult.get()` in Python.

mod backend;
mod child;
#[cfg_attr(
    not(feature = "redis"),
    expect(dead_code, reason = "chords are counted in Redis")
)]
mod chord;
mod error;
mod exception_info;
mod failed_chain;
mod meta;
mod record;
#[cfg(feature = "redis")]
mod redis_chord;
#[cfg(feature = "redis")]
mod redis_results;
#[cfg(feature = "redis")]
mod redis_url;
mod results;
mod rpc_results;

pub use self::backend::ResultBackend;
pub(crate) use self::child::Child;
pub(crate) use self::chord::{Broken, Join};
pub use self::error::ResultBackendError;
#[cfg(feature = "redis")]
pub use self::redis_url::RedisUrl;
pub(crate) use self::results::Results;
