//! The life of a program from its command line to its exit code.

use std::fmt;
use std::process::ExitCode;

use clap::Command;
/// What each of our programs declares as its `global_allocator`: one that gives memory back to the system within seconds
/// after a peak (docs/adr/0044-allocator.md). Libraries leave the choice to the program.
pub use tikv_jemallocator::Jemalloc as Allocator;

use crate::env::{self, BadEnvironment, Env, Variable};
use crate::{healthcheck, telemetry};

/// A program that is configured by its environment; its only argument is `healthcheck`.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The variables that it reads.
    pub variables: &'static [Variable],
}

impl Program {
    /// Answers `--help` (with the variables) and `--version`, and does the `healthcheck` of the running program: its
    /// exit code. Ends the process with exit code 2 on anything else that is not understood.
    pub fn parse_arguments(&self) -> Option<ExitCode> {
        let matches = self.command().get_matches();
        matches
            .subcommand()
            .map(|_| healthcheck::main(self.name, &Env::process()))
    }

    /// Runs to the end on one thread. What ends it early goes to stderr in one sentence, exit code 1.
    pub fn run<E: fmt::Display>(&self, work: impl Future<Output = Result<(), E>>) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.failed(&error),
        };
        let outcome = runtime.block_on(work);
        // A name lookup that hangs on its own thread must not hold the exit.
        runtime.shutdown_background();
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => self.failed(&error),
        }
    }

    /// Says every mistake in the environment on stderr.
    pub fn misconfigured(&self, mistakes: &BadEnvironment) -> ExitCode {
        telemetry::tell(format_args!("{}: {mistakes}", self.name));
        ExitCode::from(BadEnvironment::EXIT_CODE)
    }

    fn failed(&self, error: &impl fmt::Display) -> ExitCode {
        telemetry::tell(format_args!("{}: {error:#}", self.name));
        ExitCode::FAILURE
    }

    fn command(&self) -> Command {
        Command::new(self.name)
            .about(self.about)
            .version(self.version)
            .disable_help_subcommand(true)
            .subcommand(Command::new(healthcheck::COMMAND).about(healthcheck::ABOUT))
            .after_help(env::help(self.variables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    const PROGRAM: Program = Program {
        name: "clock",
        about: "Tells the time",
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
        assert!(help.starts_with("Tells the time"), "{help}");
        assert!(
            help.contains("Environment:\n  TZ  the time zone [default: UTC]"),
            "{help}"
        );
    }

    #[test]
    fn the_health_check_is_the_only_word() {
        let matches = |word| PROGRAM.command().try_get_matches_from(["clock", word]);
        let subcommand = matches("healthcheck")
            .unwrap()
            .subcommand_name()
            .map(str::to_owned);
        assert_eq!(subcommand.as_deref(), Some("healthcheck"));
        assert!(matches("health").is_err());
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
