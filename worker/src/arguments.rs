//! The arguments of the `authorize` task, bound as CPython binds those of
//! `def authorize(station_id, driver_token, callback_url, expiry_time_ns)`, and the errors that it raises for wrong ones.

mod error;
mod expiry;

use celery_protocol::{Text, Value};

pub use self::error::ArgumentError;
pub use self::expiry::Expiry;
use crate::task_name;

/// The parameters, in order.
const PARAMETERS: [&str; 4] = ["station_id", "driver_token", "callback_url", "expiry_time_ns"];

/// One value per parameter, of the type that it has in the message.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    /// The station that asks.
    pub station_id: Value,
    /// The token of the driver.
    pub driver_token: Value,
    /// The URL to which the verdict is sent.
    pub callback_url: Value,
    /// The time until which a verdict is of use, in nanoseconds since 1970.
    pub expiry_time_ns: Value,
}

impl Arguments {
    /// Binds `authorize(*args, **kwargs)`. Mistakes are found in CPython's order: unknown or repeated names, too many
    /// positional arguments, then missing arguments (CPython 3.11 `Python/ceval.c`: `initialize_locals`).
    ///
    /// # Errors
    ///
    /// The `TypeError` that CPython raises.
    pub fn bind(args: &Value, kwargs: &Value) -> Result<Self, ArgumentError> {
        let Value::Dict(kwargs) = kwargs else {
            let kind = kwargs.type_name();
            return Err(ArgumentError::type_error(format!(
                "authorize() argument after ** must be a mapping, not {kind}"
            )));
        };
        let positional = positional(args)?;
        let given = positional.len();
        let mut bound: [Option<Value>; 4] = [const { None }; 4];
        for (slot, value) in bound.iter_mut().zip(positional) {
            *slot = Some(value);
        }
        for (name, value) in kwargs {
            let Some(index) = PARAMETERS.iter().position(|parameter| *name == *parameter) else {
                return Err(ArgumentError::type_error(format!(
                    "authorize() got an unexpected keyword argument '{name}'"
                )));
            };
            if bound[index].is_some() {
                return Err(ArgumentError::type_error(format!(
                    "authorize() got multiple values for argument '{name}'"
                )));
            }
            bound[index] = Some(value.clone());
        }
        if given > PARAMETERS.len() {
            let message = format!("authorize() takes 4 positional arguments but {given} were given");
            return Err(ArgumentError::type_error(message));
        }
        match bound {
            [
                Some(station_id),
                Some(driver_token),
                Some(callback_url),
                Some(expiry_time_ns),
            ] => Ok(Self {
                station_id,
                driver_token,
                callback_url,
                expiry_time_ns,
            }),
            bound => {
                let missing = PARAMETERS.iter().zip(&bound).filter(|(_, value)| value.is_none());
                Err(missing_arguments(
                    &missing.map(|(name, _)| *name).collect::<Vec<_>>(),
                ))
            }
        }
    }

    /// Returns the station as it appears in an ACL URL and in the log, if it is a UUID: either a typed UUID, or a text
    /// of the form 8-4-4-4-12, whose case is kept.
    pub fn station_uuid(&self) -> Option<String> {
        match &self.station_id {
            Value::Uuid(uuid) => Some(uuid.to_string()),
            Value::Text(text) => {
                let text = text.as_str().filter(|text| text.len() == 36)?;
                uuid::Uuid::try_parse(text).is_ok().then(|| text.to_owned())
            }
            _ => None,
        }
    }

    /// Returns the token, if it is a text.
    pub fn token(&self) -> Result<&Text, ArgumentError> {
        match &self.driver_token {
            Value::Text(token) => Ok(token),
            Value::Bytes(_) => Err(ArgumentError::type_error(
                "cannot use a string pattern on a bytes-like object",
            )),
            other => {
                let message = format!(
                    "expected string or bytes-like object, got '{}'",
                    other.type_name()
                );
                Err(ArgumentError::type_error(message))
            }
        }
    }

    /// Returns the callback URL, if it is a text.
    pub fn url(&self) -> Result<&Text, ArgumentError> {
        self.callback_url.as_text().ok_or_else(|| {
            let message = format!(
                "'{}' object has no attribute 'lower'",
                self.callback_url.type_name()
            );
            ArgumentError::new("AttributeError", message)
        })
    }

    /// Returns the time from which a verdict is too late, if the argument is a number.
    pub fn expiry(&self) -> Result<Expiry, ArgumentError> {
        Expiry::of(&self.expiry_time_ns)
    }
}

/// Returns the items of the value after `*`: the characters of a text, the keys of a dict.
fn positional(args: &Value) -> Result<Vec<Value>, ArgumentError> {
    Ok(match args {
        Value::List(items) | Value::Tuple(items) => items.clone(),
        Value::Text(text) => text
            .code_points()
            .map(|c| Value::Text([c].into_iter().collect()))
            .collect(),
        Value::Bytes(bytes) => bytes.iter().map(|byte| Value::Int((*byte).into())).collect(),
        Value::Dict(dict) => dict.iter().map(|(key, _)| Value::Text(key.clone())).collect(),
        other => {
            let kind = other.type_name();
            let message = format!(
                "{}() argument after * must be an iterable, not {kind}",
                task_name::NAME
            );
            return Err(ArgumentError::type_error(message));
        }
    })
}

fn missing_arguments(names: &[&str]) -> ArgumentError {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let (plural, list) = match quoted.as_slice() {
        [one] => ("", one.clone()),
        [one, other] => ("s", format!("{one} and {other}")),
        [first @ .., last] => ("s", format!("{}, and {last}", first.join(", "))),
        [] => ("s", String::new()),
    };
    let count = names.len();
    ArgumentError::type_error(format!(
        "authorize() missing {count} required positional argument{plural}: {list}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(args: &Value, kwargs: &[(&str, Value)]) -> Result<Arguments, String> {
        let kwargs = kwargs
            .iter()
            .map(|(name, value)| (*name, value.clone()))
            .collect();
        Arguments::bind(args, &Value::Dict(kwargs)).map_err(|error| error.to_string())
    }

    fn three() -> Value {
        Value::from(vec!["station", "token", "url"])
    }

    #[test]
    fn by_position_and_by_name() {
        let bound = bind(&three(), &[("expiry_time_ns", Value::Int(1))]).unwrap();
        assert_eq!(bound.callback_url, Value::from("url"));
        assert_eq!(bound.expiry_time_ns, Value::Int(1));
    }

    #[test]
    fn wrong_calls_raise_what_cpython_raises() {
        let cases = [
            (
                three(),
                vec![],
                "missing 1 required positional argument: 'expiry_time_ns'",
            ),
            (
                Value::from(vec!["a", "b"]),
                vec![],
                "missing 2 required positional arguments: 'callback_url' and 'expiry_time_ns'",
            ),
            (three(), vec!["url"], "got an unexpected keyword argument 'url'"),
            (
                three(),
                vec!["station_id"],
                "got multiple values for argument 'station_id'",
            ),
            (
                Value::from(vec!["a"; 5]),
                vec![],
                "takes 4 positional arguments but 5 were given",
            ),
            (
                Value::from(vec!["a"; 5]),
                vec!["x"],
                "got an unexpected keyword argument 'x'",
            ),
        ];
        for (args, names, expected) in cases {
            let kwargs: Vec<_> = names.into_iter().map(|name| (name, Value::None)).collect();
            assert_eq!(
                bind(&args, &kwargs).unwrap_err(),
                format!("TypeError: authorize() {expected}")
            );
        }
    }

    #[test]
    fn keywords_are_a_mapping() {
        let error = Arguments::bind(&three(), &Value::List(Vec::new())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "TypeError: authorize() argument after ** must be a mapping, not list"
        );
    }

    #[test]
    fn stations_are_uuids_as_the_services_write_them() {
        let station = |value: Value| {
            let args = Value::List(vec![value, Value::None, Value::None, Value::None]);
            bind(&args, &[]).unwrap().station_uuid()
        };
        let lower = "5e3a0000-0000-4000-8000-00000000000a";
        assert_eq!(
            station(Value::Uuid(lower.parse().unwrap())).as_deref(),
            Some(lower)
        );
        let upper = lower.to_uppercase();
        assert_eq!(station(Value::from(upper.as_str())), Some(upper));
        for other in [
            "",
            "x",
            "5e3a0000000040008000000000000001",
            "{5e3a0000-0000-4000-8000-00000000000a}",
        ] {
            assert_eq!(station(Value::from(other)), None, "{other}");
        }
        assert_eq!(station(Value::Int(7)), None);
    }
}
