//! The worker as a program: from its command line and environment to its exit code.

mod log;
mod pidfile;
mod serve;
mod settings;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use celery_runtime::{hostname, nodename};
use clap::FromArgMatches as _;
use explain::explain;
use service_kit::check::{self, Check};
use service_kit::completions;
use service_kit::env::{self, BadEnvironment, Env};
use service_kit::healthcheck;
use service_kit::telemetry;

use self::serve::start;
use self::settings::Settings;
pub use self::settings::variables;
use crate::cli::Cli;
use crate::looks;

/// The exit code for a wrong command line, the same as clap's.
const USAGE: u8 = 2;

/// Runs the program.
pub fn main() -> ExitCode {
    let command = Cli::described().after_help(env::help(&variables()));
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    if let Some(exit_code) = other_words(&cli) {
        return exit_code;
    }
    let settings = match Settings::read(&Env::process(), &cli) {
        Ok(settings) => settings,
        Err(mistakes) => {
            telemetry::tell(format_args!("worker: {mistakes}"));
            return ExitCode::from(BadEnvironment::EXIT_CODE);
        }
    };
    run_or_check(&cli, settings).unwrap_or_else(|error| {
        telemetry::tell(format_args!("worker: {}", explain(&*error)));
        ExitCode::FAILURE
    })
}

/// Handles words other than `worker`; returns the exit code, or `None` if the worker is to run.
fn other_words(cli: &Cli) -> Option<ExitCode> {
    let words: Vec<&str> = cli.words.iter().map(String::as_str).collect();
    match words[..] {
        [healthcheck::COMMAND] => return Some(healthcheck::main("worker", &Env::process())),
        [completions::COMMAND, shell] if completions::print(&mut Cli::described(), shell) => {
            return Some(ExitCode::SUCCESS);
        }
        [completions::COMMAND, ..] => {
            telemetry::tell(format_args!(
                "worker: the command is `worker completions` and one of {}",
                completions::SHELLS.join(", ")
            ));
            return Some(ExitCode::from(USAGE));
        }
        _ => {}
    }
    let word = cli.unknown_word()?;
    telemetry::tell(format_args!(
        "worker: there is no command `{word}`; the command line is `worker [OPTIONS] worker [OPTIONS]`, \
         `worker healthcheck` or `worker completions SHELL`"
    ));
    Some(ExitCode::from(USAGE))
}

/// Runs the worker, or checks everything that it would need.
fn run_or_check(cli: &Cli, settings: Settings) -> anyhow::Result<ExitCode> {
    change_directory(cli)?;
    if cli.check {
        Ok(look(cli, &settings))
    } else {
        start(cli, settings).map(ExitCode::from)
    }
}

/// Checks everything that the worker would need, and prints the results.
fn look(cli: &Cli, settings: &Settings) -> ExitCode {
    let mut check = Check::new();
    let name = nodename(cli.hostname.as_deref(), &hostname());
    looks::brokers(&mut check, &settings.broker, &name, &cli.queues());
    looks::task(&mut check, &settings.task);
    looks::audit_log(&mut check, &settings.task);
    check.health(settings.admin.as_ref());
    if let Some(file) = &cli.logfile {
        looks::file(&mut check, "log file", Path::new(file));
    }
    if let Some(file) = &cli.pidfile {
        looks::file(&mut check, "pid file", file);
    }
    check::main("worker", check)
}

fn change_directory(cli: &Cli) -> anyhow::Result<()> {
    match &cli.workdir {
        Some(directory) => std::env::set_current_dir(directory)
            .with_context(|| format!("cannot change to the directory {}", directory.display())),
        None => Ok(()),
    }
}
