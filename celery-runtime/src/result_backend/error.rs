//! Errors in the URL of a result backend.

/// The reason why a text is not a valid result backend. It never contains the text itself, which may hold a
/// password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResultBackendError {
    /// The backend exists in Celery but not in this worker.
    #[error(
        "the result backend `{0}` is not supported; only redis://[:password@]host[:port]/db, rpc:// and disabled:// are"
    )]
    Unknown(String),
    /// This build does not include Redis.
    #[error(
        "this program was built without Redis as a result backend (cargo feature `redis` of celery-runtime)"
    )]
    WithoutRedis,
    /// The URL asks for TLS to Redis.
    #[error("TLS to Redis (rediss://, ssl_… options) is not supported by the result backend; write redis://")]
    Tls,
    /// The port is not a number from 1 to 65535.
    #[error("the port in the result backend's URL is not a number from 1 to 65535")]
    Port,
    /// The database is not a number.
    #[error(
        "the database in the result backend's URL is not a number of at least 0; write redis://host:6379/0"
    )]
    Database,
    /// The percent escapes of a part do not decode to valid UTF-8.
    #[error("the {0} in the result backend's URL is not valid UTF-8 after decoding its percent escapes")]
    Escape(&'static str),
    /// The opening bracket of an IPv6 address has no closing bracket.
    #[error("the host in the result backend's URL has an opening bracket without a closing one")]
    Host,
}
