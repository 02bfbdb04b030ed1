//! `--result-backend` and `RESULT_BACKEND`.

use std::fmt;
use std::str::FromStr;

use super::error::ResultBackendError;
#[cfg(feature = "redis")]
use super::redis_url::RedisUrl;

/// The place where the worker stores states and results of tasks, unless a task ignores its result. It must be the
/// backend of the programs that wait for the results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ResultBackend {
    /// No backend, Celery's default: `disabled://`.
    #[default]
    None,
    /// Redis, under Celery's keys; also counts chords together with Python workers.
    #[cfg(feature = "redis")]
    Redis(RedisUrl),
    /// A message to the caller's reply queue. Like Celery's, this backend does not support chords.
    Rpc,
}

impl FromStr for ResultBackend {
    type Err = ResultBackendError;

    /// Reads the same texts as Celery: a URL, or the scheme alone. An empty text means no backend.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scheme = text.split_once("://").map_or(text, |(scheme, _)| scheme);
        match scheme {
            "" | "disabled" => Ok(Self::None),
            "rpc" => Ok(Self::Rpc),
            "rediss" => Err(ResultBackendError::Tls),
            #[cfg(feature = "redis")]
            "redis" => text.parse().map(Self::Redis),
            #[cfg(not(feature = "redis"))]
            "redis" => Err(ResultBackendError::WithoutRedis),
            other => {
                // Without `://` the text may be anything, even a password.
                let known = text.contains("://");
                let name = if known { other } else { "…" };
                Err(ResultBackendError::Unknown(name.to_owned()))
            }
        }
    }
}

impl fmt::Display for ResultBackend {
    /// Writes the backend as in the banner's `results` line (contract E.6), without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("disabled://"),
            #[cfg(feature = "redis")]
            Self::Redis(url) => url.fmt(f),
            Self::Rpc => f.write_str("rpc://"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_have_celerys_names() {
        for (text, shown) in [
            ("", "disabled://"),
            ("disabled", "disabled://"),
            ("disabled://", "disabled://"),
            ("rpc", "rpc://"),
            ("rpc://", "rpc://"),
            ("rpc://host", "rpc://"),
        ] {
            let backend: ResultBackend = text.parse().unwrap();
            assert_eq!(backend.to_string(), shown, "{text:?}");
        }
    }

    #[test]
    fn errors_name_what_is_supported_and_not_the_password() {
        let refused = |text: &str| text.parse::<ResultBackend>().unwrap_err().to_string();
        assert_eq!(
            refused("db+postgresql://u:secret@h/d"),
            "the result backend `db+postgresql` is not supported; only redis://[:password@]host[:port]/db, rpc:// \
             and disabled:// are"
        );
        assert!(refused("rediss://:secret@h").starts_with("TLS to Redis"));
        assert!(!refused("u:secret@h").contains("secret"));
    }
}
