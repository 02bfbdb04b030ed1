//! Why a text does not name a result backend.

/// Why a text names no result backend. Never contains the text itself, which may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResultBackendError {
    /// A backend that Celery has and this worker has not.
    #[error(
        "the result backend `{0}` is not supported; only redis://[:password@]host[:port]/db, rpc:// and disabled:// are"
    )]
    Unknown(String),
    /// Redis was left out of this build.
    #[error(
        "this program was built without Redis as a result backend (cargo feature `redis` of celery-runtime)"
    )]
    WithoutRedis,
    /// TLS to Redis.
    #[error("TLS to Redis (rediss://, ssl_… options) is not supported by the result backend; write redis://")]
    Tls,
    /// The port is no number from 1 to 65535.
    #[error("the port in the result backend's URL is not a number from 1 to 65535")]
    Port,
    /// The database is no number.
    #[error("the database in the result backend's URL is not a number from 0; write redis://host:6379/0")]
    Database,
    /// A percent escape that is not UTF-8 when decoded.
    #[error("the {0} in the result backend's URL is not UTF-8 once its percent escapes are decoded")]
    Escape(&'static str),
    /// An opening bracket of an IPv6 address without its closing one.
    #[error("the host in the result backend's URL has an opening bracket without a closing one")]
    Host,
}
