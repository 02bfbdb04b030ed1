//! Shutdown as in a Celery worker (contract E.7): the meaning of each signal, the printed lines, the exit code.

use std::io::{self, Write};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The stage of the shutdown. Stages only go up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// No shutdown has been requested.
    Running,
    /// No new messages are accepted; running tasks finish.
    Warm,
    /// Running tasks are terminated; unacked messages return to the queue.
    Cold,
}

/// Signals a worker when to stop.
pub struct Shutdown {
    state: watch::Receiver<Reached>,
    handle: ShutdownHandle,
    signals: JoinSet<()>,
}

/// Stops a worker from within the program.
#[derive(Debug, Clone)]
pub struct ShutdownHandle {
    state: watch::Sender<Reached>,
}

/// The stage reached, and the exit code that the first signal has set.
#[derive(Debug, Clone, Copy)]
struct Reached {
    stage: Stage,
    exit_code: u8,
}

const RUNNING: Reached = Reached {
    stage: Stage::Running,
    exit_code: 0,
};
/// Limit for writing a line to the terminal before the stop that it announces.
const PATIENCE: Duration = Duration::from_millis(200);

const WARM: &str = "worker: Warm shutdown (MainProcess)";
const COLD: &str = "worker: Cold shutdown (MainProcess)";
const AGAIN: &str = "worker: Hitting Ctrl+C again will terminate all running tasks!";

impl Shutdown {
    /// Listens for SIGTERM (warm), SIGINT (warm, then cold) and SIGQUIT (cold). With `remap_sigterm`, Celery's
    /// `REMAP_SIGTERM=SIGQUIT`, SIGTERM acts as SIGQUIT.
    ///
    /// # Errors
    /// If the signal handlers cannot be installed.
    pub fn on_signals(remap_sigterm: bool) -> io::Result<Self> {
        let listen = |kind| signal(kind);
        let (terminate, interrupt, quit) = (
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::quit())?,
        );
        let (handle, shutdown) = Self::manual();
        let mut signals = JoinSet::new();
        signals.spawn(obey(handle, terminate, interrupt, quit, remap_sigterm));
        Ok(Self { signals, ..shutdown })
    }

    /// Returns a shutdown that only the program itself triggers.
    pub fn manual() -> (ShutdownHandle, Self) {
        let (sender, state) = watch::channel(RUNNING);
        let handle = ShutdownHandle { state: sender };
        let shutdown = Self {
            state,
            handle: handle.clone(),
            signals: JoinSet::new(),
        };
        (handle, shutdown)
    }

    /// Returns a handle that stops the same worker from within the program, in addition to the signals.
    pub fn handle(&self) -> ShutdownHandle {
        self.handle.clone()
    }

    /// Waits until the shutdown has reached `stage` or a later one. A worker that no signal can reach any more
    /// stops by itself.
    pub async fn reached(&mut self, stage: Stage) -> Stage {
        loop {
            let reached = self.state.wait_for(|state| state.stage >= stage);
            tokio::select! {
                // Cannot fail: `self` holds a sender.
                Ok(now) = reached => return now.stage,
                Some(_) = self.signals.join_next() => {
                    tracing::error!("the signal listener has ended: stopping");
                    self.handle.to(Stage::Warm, 1);
                }
            }
        }
    }

    /// Returns the exit code for the process: 1 after Ctrl+C, else 0.
    pub fn exit_code(&self) -> u8 {
        self.state.borrow().exit_code
    }
}

impl ShutdownHandle {
    /// Accepts no new messages and lets running tasks finish.
    pub fn warm(&self) {
        self.to(Stage::Warm, 0);
    }

    /// Terminates running tasks; unacked messages return to the queue.
    pub fn cold(&self) {
        self.to(Stage::Cold, 0);
    }

    fn to(&self, stage: Stage, exit_code: u8) {
        self.state.send_if_modified(|state| {
            let further = stage > state.stage;
            if state.stage == Stage::Running {
                state.exit_code = exit_code;
            }
            state.stage = state.stage.max(stage);
            further
        });
    }
}

async fn obey(
    handle: ShutdownHandle,
    mut terminate: Signal,
    mut interrupt: Signal,
    mut quit: Signal,
    remap_sigterm: bool,
) {
    let mut interrupts = 0;
    loop {
        tokio::select! {
            Some(()) = terminate.recv() => {
                if remap_sigterm {
                    say(&[AGAIN, COLD]).await;
                    handle.to(Stage::Cold, 0);
                } else {
                    say(&[WARM]).await;
                    handle.to(Stage::Warm, 0);
                }
            }
            Some(()) = interrupt.recv() => {
                interrupts += 1;
                match interrupts {
                    1 => {
                        say(&[
                            "worker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!",
                            WARM,
                        ])
                        .await;
                        handle.to(Stage::Warm, 1);
                    }
                    2 => {
                        say(&[AGAIN]).await;
                        handle.to(Stage::Cold, 1);
                    }
                    _ => {
                        say(&["Waiting gracefully for cold shutdown to complete...", COLD]).await;
                    }
                }
            }
            Some(()) = quit.recv() => {
                say(&[AGAIN, COLD]).await;
                handle.to(Stage::Cold, 0);
            }
            else => return,
        }
    }
}

/// Prints lines, each between line feeds as in Celery. Standard output may be closed by now, or its reader may be
/// stuck, which must not keep the worker from stopping.
async fn say(lines: &[&str]) {
    let text = format!("\n{}\n", lines.join("\n\n"));
    let writing = tokio::task::spawn_blocking(move || {
        let mut stdout = io::stdout().lock();
        let _gone = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    });
    let _stuck = tokio::time::timeout(PATIENCE, writing).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_only_go_up_and_the_first_signal_sets_the_exit_code() {
        let (handle, mut shutdown) = Shutdown::manual();
        handle.to(Stage::Warm, 1);
        assert_eq!(shutdown.reached(Stage::Warm).await, Stage::Warm);
        handle.to(Stage::Cold, 0);
        handle.warm();
        assert_eq!(shutdown.reached(Stage::Warm).await, Stage::Cold);
        assert_eq!(shutdown.exit_code(), 1);
    }

    #[tokio::test]
    async fn a_worker_that_no_signal_reaches_stops() {
        let (_handle, mut shutdown) = Shutdown::manual();
        shutdown.signals.spawn(async { panic!("planted") });
        assert_eq!(shutdown.reached(Stage::Warm).await, Stage::Warm);
        assert_eq!(shutdown.exit_code(), 1);
    }
}
