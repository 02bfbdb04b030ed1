//! `test-servers COMMAND [ARGUMENT…]` runs a command with a RabbitMQ that every test process below it shares. The server
//! ends with this program, also when that is killed.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, bail};
use harness::Broker;

/// Exits as the command does; with 128 and the number of the signal, as a shell would, if a signal has ended it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        bail!("usage: test-servers COMMAND [ARGUMENT…]")
    };
    let broker = Broker::start().await;
    let status = Command::new(&program)
        .args(arguments)
        .env(Broker::VARIABLE, broker.directory())
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    drop(broker);
    std::process::exit(code(status));
}

fn code(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).unwrap_or(1)
}
