//! The environment as configuration: every variable is declared once, and one run reports every
//! mistake, before anything connects.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// An environment variable that a program reads, with what its documentation says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What an unset variable stands for; `None` where that is not one fixed text.
    pub default: Option<&'static str>,
    /// What it is for, in a few words.
    pub meaning: &'static str,
}

/// `--help`'s section on the environment: one line per variable.
pub fn help(variables: &[Variable]) -> String {
    let width = variables
        .iter()
        .map(|variable| variable.name.len())
        .max()
        .unwrap_or_default();
    let mut text = String::from("Environment:");
    for Variable {
        name,
        default,
        meaning,
    } in variables
    {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {name:width$}  {meaning}");
        if let Some(default) = default {
            let _ = write!(text, " [default: {default}]");
        }
    }
    text
}

/// A set of environment variables: the process's own, or a test's.
#[derive(Debug, Clone, Default)]
pub struct Env {
    values: BTreeMap<OsString, OsString>,
}

impl Env {
    /// The environment of this process.
    pub fn process() -> Self {
        Self {
            values: std::env::vars_os().collect(),
        }
    }

    /// An environment of exactly these variables.
    pub fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self {
            values: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    /// Starts reading; mistakes are collected until [`Reader::finish`].
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            env: self,
            mistakes: Vec::new(),
        }
    }
}

/// Reads variables one by one and remembers what is wrong with them.
#[derive(Debug)]
pub struct Reader<'e> {
    env: &'e Env,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// The value as it was set. An empty variable counts as unset, as in the Python services. The
    /// default is not applied.
    pub fn optional(&mut self, variable: &Variable) -> Option<String> {
        let value = self.env.values.get(variable.name.as_ref() as &std::ffi::OsStr)?;
        let Some(value) = value.to_str() else {
            self.mistake(variable, "is not valid UTF-8");
            return None;
        };
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The name or address of a server, if it is set. A URL is a mistake, which is not quoted: it may hold a password.
    pub fn host(&mut self, variable: &Variable) -> Option<String> {
        let host = self.optional(variable)?;
        if host.contains(['@', '/']) {
            self.mistake(
                variable,
                "is a URL or part of one, expected a host name or an address",
            );
        }
        Some(host)
    }

    /// Whether the variable is set, be it to an empty text.
    pub fn is_set(&self, variable: &Variable) -> bool {
        let name: &std::ffi::OsStr = variable.name.as_ref();
        self.env.values.contains_key(name)
    }

    /// The value, else the default, else a mistake and an empty text.
    pub fn text(&mut self, variable: &Variable) -> String {
        let known = self.mistakes.len();
        if let Some(value) = self.optional(variable) {
            return value;
        }
        if variable.default.is_none() && self.mistakes.len() == known {
            self.mistake(variable, "must be set");
        }
        variable.default.unwrap_or_default().to_owned()
    }

    /// The value parsed, white space around it ignored. A value that does not parse is a mistake,
    /// and the default stands in for it until [`Reader::finish`].
    ///
    /// `expected` completes the sentence "expected …". The wrong value is quoted in the mistake
    /// unless it looks like a URL or holds an `@`: such a value may carry a password.
    ///
    /// # Panics
    ///
    /// If the declared default is missing or does not parse, which reading an empty environment
    /// shows.
    pub fn parse<T: FromStr>(&mut self, variable: &Variable, expected: &str) -> T {
        if let Some(value) = self.parse_optional(variable, expected) {
            return value;
        }
        default(variable)
    }

    /// As [`Reader::parse`], but the type's own error says what is wrong. It must not quote the
    /// value where that may hold a secret.
    ///
    /// # Panics
    ///
    /// As [`Reader::parse`].
    pub fn parse_explained<T: FromStr<Err: fmt::Display>>(&mut self, variable: &Variable) -> T {
        match self.optional(variable).map(|value| value.trim().parse()) {
            Some(Ok(value)) => return value,
            Some(Err(why)) => self.mistake(variable, why.to_string()),
            None => {}
        }
        default(variable)
    }

    /// As [`Reader::parse`], but `None` where the variable is unset or wrong; the default is not
    /// applied.
    pub fn parse_optional<T: FromStr>(&mut self, variable: &Variable, expected: &str) -> Option<T> {
        let value = self.optional(variable)?;
        let parsed = value.trim().parse().ok();
        if parsed.is_none() {
            let may_hold_a_secret = value.contains('@') || value.contains("://");
            let shown = if may_hold_a_secret {
                String::new()
            } else {
                format!("is {value:?}, ")
            };
            self.mistake(variable, format!("{shown}expected {expected}"));
        }
        parsed
    }

    /// Notes a mistake. `why` follows the variable's name: "is empty", "expected a port".
    pub fn mistake(&mut self, variable: &Variable, why: impl Into<String>) {
        self.mistakes.push(Mistake {
            name: variable.name,
            why: why.into(),
        });
    }

    /// Fails if anything was wrong.
    ///
    /// # Errors
    ///
    /// [`BadEnvironment`] with all mistakes.
    pub fn finish(self) -> Result<(), BadEnvironment> {
        if self.mistakes.is_empty() {
            Ok(())
        } else {
            Err(BadEnvironment {
                mistakes: self.mistakes,
            })
        }
    }
}

fn default<T: FromStr>(variable: &Variable) -> T {
    let default = variable.default.unwrap_or_default();
    let Ok(value) = default.parse() else {
        panic!("the default of {} is no valid value: {default:?}", variable.name);
    };
    value
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mistake {
    name: &'static str,
    why: String,
}

/// Every mistake in the environment, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadEnvironment {
    mistakes: Vec<Mistake>,
}

impl BadEnvironment {
    /// What a program that gives up over its environment exits with: `EX_USAGE` of sysexits.h.
    pub const EXIT_CODE: u8 = 64;
}

impl fmt::Display for BadEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the environment has mistakes:")?;
        for Mistake { name, why } in &self.mistakes {
            write!(f, "\n  {name}: {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Variable = Variable {
        name: "HOST",
        default: Some("localhost"),
        meaning: "where it is",
    };
    const PORT: Variable = Variable {
        name: "PORT",
        default: Some("80"),
        meaning: "its port",
    };
    const TOKEN: Variable = Variable {
        name: "TOKEN",
        default: None,
        meaning: "a secret",
    };

    #[test]
    fn unset_and_empty_mean_the_default() {
        let env = Env::from_pairs([("HOST", "")]);
        let mut reader = env.reader();
        assert_eq!(reader.text(&HOST), "localhost");
        assert_eq!(reader.parse::<u16>(&PORT, "a port"), 80);
        assert_eq!(reader.optional(&TOKEN), None);
        assert!(reader.is_set(&HOST) && !reader.is_set(&PORT));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn values_are_read_and_trimmed_for_parsing() {
        let env = Env::from_pairs([("HOST", "db"), ("PORT", " 81 ")]);
        let mut reader = env.reader();
        assert_eq!(reader.text(&HOST), "db");
        assert_eq!(reader.parse::<u16>(&PORT, "a port"), 81);
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn every_mistake_is_listed() {
        let env = Env::from_pairs([("PORT", "http")]);
        let mut reader = env.reader();
        reader.parse::<u16>(&PORT, "a port from 0 to 65535");
        reader.text(&TOKEN);
        reader.mistake(&HOST, "is not reachable from here");
        assert_eq!(
            reader.finish().unwrap_err().to_string(),
            "the environment has mistakes:\n  \
             PORT: is \"http\", expected a port from 0 to 65535\n  \
             TOKEN: must be set\n  \
             HOST: is not reachable from here"
        );
    }

    #[test]
    fn a_value_that_may_hold_a_password_is_not_quoted() {
        for secret in [
            "amqp://guest:hunter2@rabbit//",
            "guest:hunter2@rabbit",
            "redis://:hunter2",
        ] {
            let env = Env::from_pairs([("PORT", secret)]);
            let mut reader = env.reader();
            reader.parse::<u16>(&PORT, "a port");
            let mistakes = reader.finish().unwrap_err().to_string();
            assert!(
                mistakes.contains("PORT: expected a port") && !mistakes.contains("hunter2"),
                "{mistakes}"
            );
        }
    }

    #[test]
    fn a_url_is_no_host() {
        for wrong in ["redis://:hunter2@redis", "me:hunter2@redis", "redis/0"] {
            let env = Env::from_pairs([("HOST", wrong)]);
            let mut reader = env.reader();
            reader.host(&HOST);
            let mistakes = reader.finish().unwrap_err().to_string();
            assert!(
                mistakes.contains("HOST: is a URL") && !mistakes.contains("hunter2"),
                "{mistakes}"
            );
        }
        for right in ["redis", "10.0.0.1", "fd00::1"] {
            let env = Env::from_pairs([("HOST", right)]);
            let mut reader = env.reader();
            assert_eq!(reader.host(&HOST).as_deref(), Some(right));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn an_error_may_explain_itself() {
        let env = Env::from_pairs([("PORT", "x")]);
        let mut reader = env.reader();
        assert_eq!(reader.parse_explained::<u16>(&PORT), 80);
        assert_eq!(
            reader.finish().unwrap_err().to_string(),
            "the environment has mistakes:\n  PORT: invalid digit found in string"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_one_mistake() {
        use std::os::unix::ffi::OsStringExt as _;
        let mut env = Env::default();
        env.values.insert("TOKEN".into(), OsString::from_vec(vec![0xff]));
        let mut reader = env.reader();
        reader.text(&TOKEN);
        assert_eq!(
            reader.finish().unwrap_err().to_string(),
            "the environment has mistakes:\n  TOKEN: is not valid UTF-8"
        );
    }

    #[test]
    fn help_shows_name_meaning_and_default() {
        assert_eq!(
            help(&[HOST, TOKEN]),
            "Environment:\n  HOST   where it is [default: localhost]\n  TOKEN  a secret"
        );
    }
}
