//! `--result-backend` and `RESULT_BACKEND`.

use std::fmt;
use std::str::FromStr;

use super::error::ResultBackendError;
#[cfg(feature = "redis")]
use super::redis_url::RedisUrl;

/// Where the worker puts states and results of tasks, unless they ignore their result. It must be the backend of the
/// programs that wait for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ResultBackend {
    /// Nowhere, Celery's default: `disabled://`.
    #[default]
    None,
    /// Redis, under Celery's keys; also counts chords together with Python workers.
    #[cfg(feature = "redis")]
    Redis(RedisUrl),
    /// A message to the caller's reply queue. Like Celery's, this one knows no chords.
    Rpc,
}

impl FromStr for ResultBackend {
    type Err = ResultBackendError;

    /// Reads what Celery reads: a URL, or the scheme alone. Empty is none.
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
                // Without `://` it may be anything, a password included.
                let known = text.contains("://");
                let name = if known { other } else { "…" };
                Err(ResultBackendError::Unknown(name.to_owned()))
            }
        }
    }
}

impl fmt::Display for ResultBackend {
    /// As the banner's `results` line shows it (contract E.6), without the password.
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
    fn backends_are_named_as_celery_names_them() {
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
    fn refusals_say_what_is_supported_and_keep_the_secret() {
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
