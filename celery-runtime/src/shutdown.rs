//! Stopping as a Celery worker stops (contract E.7): which signal means what, what is printed, which exit code.

use std::io::{self, Write};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How far the shutdown has got. Stages only go up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not at all.
    Running,
    /// Nothing new is taken; running tasks finish.
    Warm,
    /// Running tasks are ended; what is not acked returns to the queue.
    Cold,
}

/// Tells a worker when to stop.
pub struct Shutdown {
    state: watch::Receiver<State>,
    _signals: JoinSet<()>,
}

/// Stops a worker from within the program.
#[derive(Debug, Clone)]
pub struct ShutdownHandle {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    stage: Stage,
    exit_code: u8,
}

const RUNNING: State = State {
    stage: Stage::Running,
    exit_code: 0,
};
const WARM: &str = "worker: Warm shutdown (MainProcess)";
const COLD: &str = "worker: Cold shutdown (MainProcess)";
const AGAIN: &str = "worker: Hitting Ctrl+C again will terminate all running tasks!";

impl Shutdown {
    /// Listens to SIGTERM (warm), SIGINT (warm, then cold) and SIGQUIT (cold). With `remap_sigterm`, Celery's
    /// `REMAP_SIGTERM=SIGQUIT`, SIGTERM means what SIGQUIT means.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
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
        Ok(Self {
            _signals: signals,
            ..shutdown
        })
    }

    /// A shutdown that only the program itself starts.
    pub fn manual() -> (ShutdownHandle, Self) {
        let (sender, state) = watch::channel(RUNNING);
        (
            ShutdownHandle { state: sender },
            Self {
                state,
                _signals: JoinSet::new(),
            },
        )
    }

    /// Waits until the shutdown has got to `stage` or further.
    pub(crate) async fn reached(&mut self, stage: Stage) -> Stage {
        let stage = self
            .state
            .wait_for(|reached| reached.stage >= stage)
            .await
            .map(|reached| reached.stage);
        match stage {
            Ok(stage) => stage,
            Err(_sender_gone) => std::future::pending().await,
        }
    }

    /// The code that the process shall exit with: 1 after Ctrl+C, else 0.
    pub fn exit_code(&self) -> u8 {
        self.state.borrow().exit_code
    }
}

impl ShutdownHandle {
    /// Takes nothing new and lets running tasks finish.
    pub fn warm(&self) {
        self.to(Stage::Warm, 0);
    }

    /// Ends running tasks; what is not acked returns to the queue.
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
                    say(AGAIN);
                    say(COLD);
                    handle.to(Stage::Cold, 0);
                } else {
                    say(WARM);
                    handle.to(Stage::Warm, 0);
                }
            }
            Some(()) = interrupt.recv() => {
                interrupts += 1;
                match interrupts {
                    1 => {
                        say("worker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!");
                        say(WARM);
                        handle.to(Stage::Warm, 1);
                    }
                    2 => {
                        say(AGAIN);
                        handle.to(Stage::Cold, 1);
                    }
                    _ => {
                        say("Waiting gracefully for cold shutdown to complete...");
                        say(COLD);
                    }
                }
            }
            Some(()) = quit.recv() => {
                say(AGAIN);
                say(COLD);
                handle.to(Stage::Cold, 0);
            }
            else => return,
        }
    }
}

/// Celery frames each of these lines with line feeds; standard output may be gone by now.
fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _gone = write!(stdout, "\n{text}\n").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_only_go_up_and_the_first_signal_names_the_exit_code() {
        let (handle, mut shutdown) = Shutdown::manual();
        handle.to(Stage::Warm, 1);
        assert_eq!(shutdown.reached(Stage::Warm).await, Stage::Warm);
        handle.to(Stage::Cold, 0);
        handle.warm();
        assert_eq!(shutdown.reached(Stage::Warm).await, Stage::Cold);
        assert_eq!(shutdown.exit_code(), 1);
    }
}
