//! The program: from its command line to its exit code.

use std::process::ExitCode;

use clap::CommandFactory as _;
use jiff::ZonedDateTime;
use service_kit::admin;
use service_kit::background::Background;
use service_kit::completions;
use service_kit::env::{BadEnvironment, Env};
use service_kit::http::ListenAddress;
use service_kit::program::Program;
use service_kit::readiness::Readiness;
use service_kit::shutdown::GracefulShutdown;
use service_kit::telemetry;

use crate::check::check;
use crate::cli::{Cli, Command};
use crate::config::{self, Config};
use crate::receiver::Receiver;
use crate::services::Services;
use crate::terminal::say;
use crate::welcome::welcome;
use crate::{demo, report};

const PROGRAM: Program = Program {
    name: "standalone",
    about: "The three services in one process on one SQLite file",
    version: env!("CARGO_PKG_VERSION"),
    variables: &[],
};

/// Runs the whole program, from its command line to its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::of_process();
    let env = Env::process();
    let started: Result<ExitCode, BadEnvironment> = match cli.command {
        None if cli.check => Config::read(&env, &cli.run).map(|config| PROGRAM.check(check(&config))),
        None => Config::read(&env, &cli.run).map(|config| PROGRAM.run(run(config))),
        Some(Command::Demo) => Ok(PROGRAM.run(demo::demo())),
        Some(Command::Receive { host, port }) => Ok(PROGRAM.run(receive(ListenAddress::new(&host, port)))),
        Some(Command::Log { database, last }) => config::read_database(&env, &database)
            .map(|file| PROGRAM.run(async move { report::log(&file, last) })),
        Some(Command::Queue { database, first }) => config::read_database(&env, &database)
            .map(|file| PROGRAM.run(async move { report::queue(&file, first) })),
        Some(Command::Completions { shell }) => {
            completions::print(&mut Cli::command(), &shell);
            Ok(ExitCode::SUCCESS)
        }
    };
    started.unwrap_or_else(|mistakes| PROGRAM.misconfigured(&mistakes))
}

async fn run(config: Config) -> anyhow::Result<()> {
    telemetry::init(config.log.clone());
    let readiness = Readiness::new();
    let mut background = Background::new(&readiness);
    let shutdown = GracefulShutdown::on_signals(&mut background)?;
    admin::start(config.admin.as_ref(), &readiness, &shutdown, &mut background).await?;
    let services = Services::start(&config, &readiness, &shutdown).await?;
    say(welcome(&services, &config));
    let stop = || shutdown.warm.cancel();
    background.during(stop, services.run_until(&shutdown)).await?
}

async fn receive(at: ListenAddress) -> anyhow::Result<()> {
    let mut background = Background::new(&Readiness::new());
    let shutdown = GracefulShutdown::on_signals(&mut background)?;
    let mut receiver = Receiver::start(&at).await?;
    say(format!(
        "Waiting for callbacks on http://{}; press Ctrl-C to stop.",
        receiver.address
    ));
    loop {
        tokio::select! {
            () = shutdown.warm.cancelled() => return Ok(()),
            ended = background.ended() => return Err(ended.into()),
            callback = receiver.next() => {
                say(format!("{}  {}", ZonedDateTime::now().strftime("%H:%M:%S"), callback?));
            }
        }
    }
}
