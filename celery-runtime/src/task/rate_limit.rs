//! Rate limits: Celery's strings, and the token bucket that enforces them (contract E.3).

use std::time::Duration;

use tokio::time::Instant;

/// A limit on the number of runs of a task that start per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit(f64);

/// The reason why a text is not a rate limit, shown as Python shows the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateLimitError {
    /// The part before the slash is not a number: a `ValueError`.
    #[error("could not convert string to float: {}", celery_protocol::Value::from(.0.as_str()).py_repr())]
    Number(String),
    /// The part after the slash is neither `s`, `m` nor `h`: a `KeyError`.
    #[error("{}", celery_protocol::Value::from(.0.as_str()).py_repr())]
    Unit(String),
}

impl RateLimit {
    /// Returns a limit of this many runs per second, or `None` for 0, which means no limit in Celery.
    pub fn per_second(runs: f64) -> Option<Self> {
        (runs != 0.0).then_some(Self(runs))
    }

    /// Parses Celery's strings: `10/m`, `100/h`, `0.5/s`, `10`. Returns `None`, no limit, for `""` and `0`.
    ///
    /// # Errors
    /// See [`RateLimitError`].
    pub fn parse(text: &str) -> Result<Option<Self>, RateLimitError> {
        if text.is_empty() {
            return Ok(None);
        }
        let (runs, unit) = text.split_once('/').unwrap_or((text, ""));
        let number = || {
            let parsed = runs.trim().parse::<f64>();
            parsed.map_err(|_| RateLimitError::Number(runs.to_owned()))
        };
        let runs_per_second = match unit {
            "" | "s" => number()?,
            "m" => number()? / 60.0,
            "h" => number()? / 60.0 / 60.0,
            other => return Err(RateLimitError::Unit(other.to_owned())),
        };
        Ok(Self::per_second(runs_per_second))
    }

    /// Returns the limit in runs per second.
    pub fn runs_per_second(self) -> f64 {
        self.0
    }
}

/// kombu's `TokenBucket` with room for one token.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: RateLimit,
    tokens: f64,
    counted: Instant,
}

impl TokenBucket {
    pub(crate) fn new(rate: RateLimit, now: Instant) -> Self {
        Self {
            rate,
            tokens: 1.0,
            counted: now,
        }
    }

    /// Takes the token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.count(now);
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }

    /// Returns the time until there is a token, or `None` if there never will be.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.count(now);
        let missing = (1.0 - self.tokens).max(0.0);
        if missing > 0.0 && self.rate.0 <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(missing / self.rate.0).ok()
    }

    /// Adds the tokens gained since the last call. An infinite rate fills the bucket at once, which multiplication
    /// cannot express for a duration of zero.
    fn count(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.counted).as_secs_f64();
        let gained = if self.rate.0.is_finite() {
            self.rate.0 * since
        } else {
            1.0
        };
        self.tokens = (self.tokens + gained).min(1.0);
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Covers every case of the reference; numbers are values that Python code passes, never texts.
    #[test]
    fn limits_are_read_as_python_reads_them() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/golden/celery/reference-rate.json"
        );
        let reference: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = reference["cases"].as_array().unwrap();
        let (mut texts, mut others) = (0, 0);
        for case in cases {
            let Some(text) = case[0].as_str() else {
                let runs = case[0].as_f64().unwrap_or_default();
                assert_eq!(
                    RateLimit::per_second(runs).map(RateLimit::runs_per_second),
                    case[1].as_f64().filter(|runs| *runs != 0.0)
                );
                others += 1;
                continue;
            };
            texts += 1;
            let shown = match RateLimit::parse(text) {
                Ok(limit) => {
                    let runs = limit.map_or(0.0, RateLimit::runs_per_second);
                    let expected = case[1].as_f64().or_else(|| case[1].as_str()?.parse().ok());
                    assert_eq!(Some(runs), expected, "{text}");
                    continue;
                }
                Err(error @ RateLimitError::Number(_)) => {
                    format!(
                        "ValueError({})",
                        celery_protocol::Value::from(error.to_string()).py_repr()
                    )
                }
                Err(error @ RateLimitError::Unit(_)) => format!("KeyError({error})"),
            };
            assert_eq!(Some(shown.as_str()), case[1]["error"].as_str(), "{text}");
        }
        println!("{texts} texts and {others} numbers of {} cases", cases.len());
        assert_eq!((texts, others, cases.len()), (17, 4, 21));
    }

    #[test]
    fn a_bucket_gives_one_token_at_once_and_more_at_its_rate() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut bucket = TokenBucket::new(RateLimit(2.0), start);
        assert!(bucket.take(start));
        assert!(!bucket.take(after(100)));
        assert_eq!(bucket.wait(after(100)), Some(Duration::from_millis(400)));
        assert!(!bucket.take(after(400)));
        assert!(bucket.take(after(500)));
        // An hour accumulates one token, not 7200.
        assert!(bucket.take(after(3_600_000)));
        assert!(!bucket.take(after(3_600_001)));
    }

    #[test]
    fn a_negative_rate_gives_one_token_and_an_infinite_rate_all() {
        let now = Instant::now();
        let mut never = TokenBucket::new(RateLimit(-1.0), now);
        assert!(never.take(now));
        assert!(!never.take(now));
        assert_eq!(never.wait(now), None);
        let mut always = TokenBucket::new(RateLimit(f64::INFINITY), now);
        for _ in 0..100 {
            assert!(always.take(now));
        }
    }
}
