//! `test-servers COMMAND [ARGUMENT…]` runs a command with a RabbitMQ server that is shared by every test process below
//! it. The server ends with this program, even if this program is killed.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, bail};
use harness::Broker;

/// Exits with the command's exit code, or, if a signal ended the command, with 128 plus the signal number, as a shell
/// would.
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
