//! The environment as configuration: every variable is declared once, and one run reports every
//! mistake, before anything connects.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use explain::explain;

/// An environment variable that a program reads, with its documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The variable's name.
    pub name: &'static str,
    /// The value if the variable is unset; `None` if there is no fixed default.
    pub default: Option<&'static str>,
    /// The purpose of the variable, in a few words.
    pub meaning: &'static str,
}

/// Returns the section of `--help` on the environment: one line per variable.
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
    /// Returns the environment of this process.
    pub fn process() -> Self {
        Self {
            values: std::env::vars_os().collect(),
        }
    }

    /// Returns an environment of exactly these variables.
    pub fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self {
            values: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    /// Starts reading. Mistakes are collected until [`Reader::finish`].
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            env: self,
            mistakes: Vec::new(),
        }
    }
}

/// A reader of single variables, which collects the mistakes in them.
#[derive(Debug)]
pub struct Reader<'e> {
    env: &'e Env,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// Returns the value as it was set. An empty variable counts as unset, as in the Python services. The
    /// default is not applied.
    pub fn optional(&mut self, variable: &Variable) -> Option<String> {
        let value = self.env.values.get(variable.name.as_ref() as &std::ffi::OsStr)?;
        let Some(value) = value.to_str() else {
            self.mistake(variable, "is not valid UTF-8");
            return None;
        };
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Returns the name or address of a server, if it is set. A URL is a mistake and is not quoted, because it may
    /// contain a password.
    pub fn host(&mut self, variable: &Variable) -> Option<String> {
        let host = self.optional(variable)?;
        if host.contains(['@', '/']) {
            self.mistake(
                variable,
                "is a URL or part of one; expected a host name or an address",
            );
        }
        Some(host)
    }

    /// Returns whether the variable is set, even to an empty text.
    pub fn is_set(&self, variable: &Variable) -> bool {
        let name: &std::ffi::OsStr = variable.name.as_ref();
        self.env.values.contains_key(name)
    }

    /// Returns the value, else the default. If there is neither, that is a mistake, and the result is empty.
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

    /// Parses the value, ignoring white space around it. A value that does not parse is a mistake,
    /// and the default replaces it until [`Reader::finish`].
    ///
    /// `expected` completes the sentence "expected …". The mistake quotes the wrong value
    /// unless it looks like a URL or contains an `@`: such a value may contain a password.
    ///
    /// # Panics
    ///
    /// If the declared default is missing or does not parse. Reading an empty environment
    /// shows that.
    pub fn parse<T: FromStr>(&mut self, variable: &Variable, expected: &str) -> T {
        if let Some(value) = self.parse_optional(variable, expected) {
            return value;
        }
        default(variable)
    }

    /// Like [`Reader::parse`], but the mistake is the type's own error. That error must not quote the
    /// value if it may contain a secret.
    ///
    /// # Panics
    ///
    /// Like [`Reader::parse`].
    pub fn parse_explained<T: FromStr<Err: Error + 'static>>(&mut self, variable: &Variable) -> T {
        match self.optional(variable).map(|value| value.trim().parse()) {
            Some(Ok(value)) => return value,
            Some(Err(why)) => self.mistake(variable, explain(&why)),
            None => {}
        }
        default(variable)
    }

    /// Like [`Reader::parse`], but returns `None` if the variable is unset or wrong; the default is not
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

    /// Records a mistake. `why` follows the variable's name: "is empty", "expected a port".
    pub fn mistake(&mut self, variable: &Variable, why: impl Into<String>) {
        self.mistakes.push(Mistake {
            name: variable.name,
            why: why.into(),
        });
    }

    /// Finishes reading.
    ///
    /// # Errors
    ///
    /// [`BadEnvironment`] with all mistakes, if there are any.
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
        panic!(
            "the default of {} is not a valid value: {default:?}",
            variable.name
        );
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
    /// The exit code of a program that refuses its environment: `EX_USAGE` of sysexits.h.
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
mod tests;
