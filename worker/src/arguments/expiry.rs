//! The deadline of a request, as Python compares it with `time.time_ns()`.

use std::time::Duration;

use celery_protocol::Value;

use super::error::ArgumentError;

/// The longest timeout that Python supports, in nanoseconds: about 292 years.
const LONGEST: i128 = i64::MAX as i128;

/// The time from which a verdict is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// This time, in nanoseconds since 1970. Fractions are rounded up, which changes no comparison with whole numbers.
    At(i128),
    /// Infinity: later than any time.
    Never,
    /// Not a number: no time is later than it.
    NaN,
}

impl Expiry {
    pub(super) fn of(value: &Value) -> Result<Self, ArgumentError> {
        Ok(match value {
            Value::Bool(value) => Self::At((*value).into()),
            Value::Int(value) => Self::At((*value).into()),
            Value::BigInt(value) => match value.as_str().parse() {
                Ok(value) => Self::At(value),
                Err(_) if value.as_str().starts_with('-') => Self::At(i128::MIN),
                Err(_) => Self::At(i128::MAX),
            },
            Value::Float(value) if value.is_nan() => Self::NaN,
            Value::Float(f64::INFINITY) => Self::Never,
            Value::Float(value) => Self::At(round_up(*value)),
            Value::Decimal(_) => {
                let message = "unsupported type for timedelta microseconds component: decimal.Decimal";
                return Err(ArgumentError::type_error(message));
            }
            other => {
                let kind = qualified_name(other);
                let message = format!("'>=' not supported between instances of 'int' and '{kind}'");
                return Err(ArgumentError::type_error(message));
            }
        })
    }

    /// Returns Python's `now >= expiry`.
    pub fn is_past(self, now: i128) -> bool {
        matches!(self, Self::At(expiry) if now >= expiry)
    }

    /// Returns the time that is left at `now`, zero if the expiry is past. Fails as Python's timeout does if the expiry
    /// is not finite or too far away.
    pub fn left(self, now: i128) -> Result<Duration, ArgumentError> {
        let Self::At(expiry) = self else {
            return Err(ArgumentError::new(
                "ValueError",
                "cannot convert float NaN to integer",
            ));
        };
        let left = expiry.saturating_sub(now);
        if left > LONGEST {
            let days = left / 86_400_000_000_000;
            let message = if i32::try_from(days).is_ok() {
                "timestamp out of range for platform time_t"
            } else {
                "Python int too large to convert to C int"
            };
            return Err(ArgumentError::new("OverflowError", message));
        }
        Ok(Duration::from_nanos(u64::try_from(left).unwrap_or_default()))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and so does the comparison with a real time"
)]
fn round_up(value: f64) -> i128 {
    value.ceil() as i128
}

/// Returns the name of the value's type in CPython's messages.
fn qualified_name(value: &Value) -> &'static str {
    match value {
        Value::DateTime(_) => "datetime.datetime",
        Value::Date(_) => "datetime.date",
        Value::Time(_) => "datetime.time",
        other => other.type_name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i128 = 1_795_345_678_534_499_305;

    fn left(value: &Value) -> Result<Duration, &'static str> {
        let expiry = Expiry::of(value).map_err(|error| error.class)?;
        if expiry.is_past(NOW) {
            Ok(Duration::ZERO)
        } else {
            expiry.left(NOW).map_err(|error| error.class)
        }
    }

    #[test]
    fn numbers_of_every_kind() {
        let second = Duration::from_secs(1);
        assert_eq!(left(&Value::from(NOW + 1_000_000_000)), Ok(second));
        assert_eq!(left(&Value::from(NOW)), Ok(Duration::ZERO));
        assert_eq!(left(&Value::from(NOW + 1)), Ok(Duration::from_nanos(1)));
        assert_eq!(left(&Value::Bool(true)), Ok(Duration::ZERO));
        assert_eq!(left(&Value::Float(f64::NEG_INFINITY)), Ok(Duration::ZERO));
        assert_eq!(
            left(&Value::Float(1e19)),
            Ok(Duration::from_nanos(8_204_654_321_465_500_695))
        );
        assert_eq!(left(&Value::from(-10_i128.pow(30))), Ok(Duration::ZERO));
    }

    #[test]
    fn no_end_and_no_number() {
        assert_eq!(left(&Value::from(10_i128.pow(30))), Err("OverflowError"));
        assert_eq!(left(&Value::Float(1e300)), Err("OverflowError"));
        assert_eq!(left(&Value::Float(f64::INFINITY)), Err("ValueError"));
        assert_eq!(left(&Value::Float(f64::NAN)), Err("ValueError"));
        assert_eq!(left(&Value::from("5")), Err("TypeError"));
        assert_eq!(left(&Value::None), Err("TypeError"));
    }
}
