//! The log: plain lines on stderr.

mod log_writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{Level, Metadata, Subscriber};
pub use tracing_subscriber::EnvFilter as Filter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

pub use self::log_writer::LogWriter;
use crate::env::{Reader, Variable};

/// How long a program that is exiting waits for its last lines to be written.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The log filter.
pub const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    default: Some("info"),
    meaning: "what to log: error, warn, info, debug or trace, or a level per part, such as warn,access=info",
};

/// A library that is silent unless [`RUST_LOG`] names it: it logs every attempt to connect as an error, and the
/// program itself logs the first one.
const QUIET: &str = "lapin";

/// Libraries whose `trace` lines show the transmitted bytes, with logins and passwords.
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

/// Starts the log of this process on stderr, with colours only on a terminal. If a log is already set
/// up, it stays in place.
pub fn init(filter: Filter) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogWriter::stderr(report))
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .finish()
        .with(no_wire());
    // Fails only if a subscriber exists already: in tests, and in a program within a program.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Prints a line on standard error, outside of the log: why a program does not start, or why it ends. Standard error
/// may be gone or stalled; `eprintln!` would then panic or wait forever.
pub fn tell(line: impl Display) {
    LogWriter::stderr(report).line(format!("{line}\n").as_bytes());
    flush();
}

/// Prints on standard output while a program works, without waiting for the reader.
pub fn say(text: impl Display) {
    LogWriter::stdout().line(text.to_string().as_bytes());
}

/// Waits a moment until all lines are written. A program calls it before it exits.
pub fn flush() {
    LogWriter::flush_all(LAST_WORDS);
}

/// Installs a hook that prints panics like other lines. The standard library would write them directly, and if standard
/// error is stalled, the panicking thread would stall as well, and the panic would go unnoticed.
pub fn print_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let backtrace = Backtrace::capture();
        let shown = match backtrace.status() {
            BacktraceStatus::Captured => format!("\n{backtrace}"),
            _ => String::new(),
        };
        tell(format_args!("thread '{name}' {panic}{shown}"));
    }));
}

fn report(text: &str) -> String {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
    format!("{now} ERROR {}: {text}\n", module_path!())
}

/// Keeps lines out of the log that no filter may admit: those that show passwords.
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
    fn a_silenced_library_can_be_enabled() {
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
