//! The life of a program from its command line to its exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use rustix::process::Signal;
/// The allocator that each of our programs declares as its `global_allocator`. It returns memory to the system within
/// seconds after a peak (docs/adr/0044-allocator.md). Libraries leave the choice to the program.
#[cfg(feature = "allocator")]
pub use tikv_jemallocator::Jemalloc as Allocator;
use tokio::signal::unix::{SignalKind, signal};

use crate::check::{self, Check};
use crate::completions;
use crate::env::{self, BadEnvironment, Env, Variable};
use crate::{healthcheck, telemetry};
use explain::explain;

/// A program that is configured by its environment; its arguments are `--check`, `healthcheck` and `completions`.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The program's name.
    pub name: &'static str,
    /// A description in one sentence.
    pub about: &'static str,
    /// The version.
    pub version: &'static str,
    /// The variables that the program reads.
    pub variables: &'static [Variable],
}

/// The action that the command line requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asked {
    /// Run the program.
    Run,
    /// Check whether the program could run.
    Check,
    /// Nothing: the request has been served, with this exit code.
    Done(ExitCode),
}

/// Runs a program's work to its end on one thread, then waits a moment for its last log lines. Panics are printed like
/// other lines. A file that has reached its size limit (`ulimit -f`) rejects further writes, instead of ending the
/// program with SIGXFSZ, as in Python.
///
/// # Errors
///
/// If the runtime cannot be created.
pub fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    telemetry::print_panics();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        // The handler lasts as long as the process. If the system refuses it, the default action stays in place.
        let _ = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()));
        work.await
    });
    // A name lookup that hangs on its own thread must not delay the exit.
    runtime.shutdown_background();
    telemetry::flush();
    Ok(outcome)
}

impl Program {
    /// Parses the command line. Serves `--help` (with the variables), `--version`, `completions` and `healthcheck`.
    /// Ends the process with exit code 2 if the command line is invalid.
    pub fn parse_arguments(&self) -> Asked {
        let matches = self.command().get_matches();
        match matches.subcommand() {
            Some((completions::COMMAND, shell)) => {
                let shell = shell.get_one::<String>("shell").map_or("", String::as_str);
                completions::print(&mut self.command(), shell);
                Asked::Done(ExitCode::SUCCESS)
            }
            Some(_) => Asked::Done(healthcheck::main(self.name, &Env::process())),
            None if matches.get_flag(check::FLAG) => Asked::Check,
            None => Asked::Run,
        }
    }

    /// Checks everything that the program needs, and prints the results.
    pub fn check(&self, check: Check) -> ExitCode {
        check::main(self.name, check)
    }

    /// Runs the work to its end on one thread. An error goes to stderr in one sentence, with exit code 1.
    pub fn run<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        work: impl Future<Output = Result<(), E>>,
    ) -> ExitCode {
        match block_on(work) {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(error)) => self.failed(&*error.into()),
            Err(error) => self.failed(&error),
        }
    }

    /// Prints every mistake in the environment on stderr.
    pub fn misconfigured(&self, mistakes: &BadEnvironment) -> ExitCode {
        telemetry::tell(format_args!("{}: {mistakes}", self.name));
        ExitCode::from(BadEnvironment::EXIT_CODE)
    }

    fn failed(&self, error: &(dyn Error + 'static)) -> ExitCode {
        telemetry::tell(format_args!("{}: {}", self.name, explain(error)));
        ExitCode::FAILURE
    }

    fn command(&self) -> Command {
        Command::new(self.name)
            .about(self.about)
            .version(self.version)
            .disable_help_subcommand(true)
            .args_conflicts_with_subcommands(true)
            .arg(
                Arg::new(check::FLAG)
                    .long(check::FLAG)
                    .help(check::ABOUT)
                    .action(ArgAction::SetTrue),
            )
            .subcommand(Command::new(healthcheck::COMMAND).about(healthcheck::ABOUT))
            .subcommand(completions::subcommand())
            .after_help(env::help(self.variables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    const PROGRAM: Program = Program {
        name: "clock",
        about: "Shows the time",
        version: "1.0",
        variables: &[Variable {
            name: "TZ",
            default: Some("UTC"),
            meaning: "the time zone",
        }],
    };

    #[test]
    fn help_lists_the_variables() {
        let help = PROGRAM.command().render_help().to_string();
        assert!(help.starts_with("Shows the time"), "{help}");
        assert!(
            help.contains("Environment:\n  TZ  the time zone [default: UTC]"),
            "{help}"
        );
    }

    #[test]
    fn there_are_two_words_and_a_flag() {
        let matches = |words: &[&str]| {
            PROGRAM
                .command()
                .try_get_matches_from([&["clock"], words].concat())
        };
        for words in [&["healthcheck"][..], &["completions", "bash"]] {
            let matches = matches(words).unwrap();
            assert_eq!(matches.subcommand_name(), Some(words[0]));
            assert!(!matches.get_flag("check"));
        }
        assert!(matches(&["--check"]).unwrap().get_flag("check"));
        for wrong in [
            &["health"][..],
            &["completions"],
            &["completions", "powershell"],
            &["--check", "healthcheck"],
        ] {
            assert_eq!(matches(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        let refused = PROGRAM
            .command()
            .try_get_matches_from(["clock", "--fast"])
            .unwrap_err();
        assert_eq!(
            (refused.kind(), refused.exit_code()),
            (ErrorKind::UnknownArgument, 2)
        );
    }

    #[test]
    fn the_outcome_is_the_exit_code() {
        assert_eq!(PROGRAM.run(async { Ok::<(), String>(()) }), ExitCode::SUCCESS);
        assert_eq!(PROGRAM.run(async { Err("broken") }), ExitCode::FAILURE);
    }
}
