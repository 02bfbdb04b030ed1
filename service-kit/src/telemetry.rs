//! The log: plain lines on stderr.

mod log_writer;
mod standard_error;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use tracing::{Level, Metadata, Subscriber};
pub use tracing_subscriber::EnvFilter as Filter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

pub use self::log_writer::LogWriter;
use crate::env::{Reader, Variable};

/// What to log.
pub const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    default: Some("info"),
    meaning: "what to log: error, warn, info, debug, trace, or per part, such as warn,access=info",
};

/// Silent unless [`RUST_LOG`] names it: it logs every attempt to connect as an error, of which the
/// program itself says the first.
const QUIET: &str = "lapin";

/// Libraries whose `trace` lines show what goes over the wire, with logins and passwords.
const SHOWS_THE_WIRE: [&str; 1] = ["lapin"];

/// Reads [`RUST_LOG`].
pub fn read_filter(reader: &mut Reader<'_>) -> Filter {
    let expected = "a level (error, warn, info, debug, trace) or a list of module=level";
    let filter: Filter = reader.parse(&RUST_LOG, expected);
    if filter.to_string().contains(QUIET) {
        return filter;
    }
    match format!("{QUIET}=off").parse() {
        Ok(silence) => filter.add_directive(silence),
        Err(_) => filter,
    }
}

/// Starts the log of this process: stderr, colours only on a terminal. A log that is already set
/// up stays as it is.
pub fn init(filter: Filter) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogWriter::stderr())
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .finish()
        .with(no_wire());
    // Fails only where a subscriber exists already: in tests, and in a program within a program.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Prints a line on standard error, outside of the log: why a program does not start, or ends. Standard error may be
/// gone or stand still, where `eprintln!` panics or waits for ever.
pub fn tell(line: impl Display) {
    let _taken = LogWriter::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Keeps lines out of the log that no filter may let in: those that show passwords.
pub fn no_wire<S: Subscriber + for<'s> LookupSpan<'s>>() -> impl Layer<S> {
    filter_fn(|line| !shows_the_wire(line))
}

fn shows_the_wire(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    *line.level() == Level::TRACE && SHOWS_THE_WIRE.contains(&library)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn a_bad_filter_is_a_mistake_like_any_other() {
        let env = Env::from_pairs([("RUST_LOG", "info,=loud=")]);
        let mut reader = env.reader();
        let filter = read_filter(&mut reader);
        assert_eq!(filter.to_string(), "lapin=off,info");
        assert!(reader.finish().unwrap_err().to_string().contains("RUST_LOG"));
    }

    #[test]
    fn what_is_quiet_can_be_heard() {
        let env = Env::from_pairs([("RUST_LOG", "warn,lapin=debug")]);
        assert_eq!(read_filter(&mut env.reader()).to_string(), "lapin=debug,warn");
    }

    #[test]
    fn the_default_is_info() {
        let env = Env::default();
        let mut reader = env.reader();
        assert_eq!(read_filter(&mut reader).to_string(), "lapin=off,info");
        assert_eq!(reader.finish(), Ok(()));
    }
}
