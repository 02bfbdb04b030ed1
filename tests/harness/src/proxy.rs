//! A TCP relay whose line a test can cut, silence, slow down or redirect.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::port::listen;

/// A relay on 127.0.0.1 to another address; it runs until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    target: Arc<Mutex<String>>,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Bytes are relayed.
    Open,
    /// Bytes from the target are relayed after this delay.
    Slow(Duration),
    /// Bytes are swallowed in both directions; connections stay open and new ones are accepted.
    Silent,
    /// Connections are closed; new ones are closed at once.
    Cut,
}

/// The line, and how often it was cut: even a cut that is repaired at once has ended every connection.
#[derive(Debug, Clone, Copy)]
struct State {
    line: Line,
    cuts: u64,
}

impl State {
    fn pause(self) -> Duration {
        match self.line {
            Line::Slow(pause) => pause,
            _ => Duration::ZERO,
        }
    }
}

impl Proxy {
    /// Starts relaying to `target`, such as [`Vhost::address`](crate::Vhost::address).
    #[expect(
        clippy::unused_async,
        reason = "it needs the runtime, as the start of every other server here"
    )]
    pub async fn start(target: impl Into<String>) -> Self {
        let (listener, port) = listen(Ipv4Addr::LOCALHOST);
        let (state, changes) = watch::channel(State {
            line: Line::Open,
            cuts: 0,
        });
        let target = Arc::new(Mutex::new(target.into()));
        let mut tasks = JoinSet::new();
        let accepted = Arc::new(AtomicUsize::new(0));
        tasks.spawn(serve(
            listener,
            Arc::clone(&target),
            changes,
            Arc::clone(&accepted),
        ));
        Self {
            port,
            state,
            target,
            accepted,
            _tasks: tasks,
        }
    }

    /// The relay's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Swallows everything from now on. A connection that has been silenced once stays silent.
    pub fn silence(&self) {
        self.set(Line::Silent);
    }

    /// Closes every connection, including new ones as they arrive.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.line = Line::Cut;
            state.cuts += 1;
        });
    }

    /// Delays each chunk that the target sends by `pause` from now on.
    pub fn slow_down(&self, pause: Duration) {
        self.set(Line::Slow(pause));
    }

    /// Closes every connection and relays new ones to another target.
    pub fn lead_to(&self, target: impl Into<String>) {
        self.cut();
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target.into();
        self.restore();
    }

    /// Relays new connections again.
    pub fn restore(&self) {
        self.set(Line::Open);
    }

    fn set(&self, line: Line) {
        self.state.send_modify(|state| state.line = line);
    }
}

async fn serve(
    listener: TcpListener,
    target: Arc<Mutex<String>>,
    state: watch::Receiver<State>,
    count: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let target = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
                connections.spawn(relay(client, target, state.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Relays until the line changes, then does as the line requires until it is cut. Over a silent line, neither side
/// learns that the other has closed the connection.
async fn relay(client: TcpStream, target: String, mut state: watch::Receiver<State>) {
    let State { line, cuts } = *state.borrow_and_update();
    let mut server = None;
    if matches!(line, Line::Open | Line::Slow(_)) {
        let Ok(stream) = TcpStream::connect(target).await else {
            return;
        };
        server = Some(stream.into_split());
    }
    let (mut from_client, mut to_client) = client.into_split();
    if let Some((from_server, to_server)) = &mut server {
        let pauses = state.clone();
        // The state is checked first: bytes that arrive after it has changed must not pass.
        tokio::select! {
            biased;
            () = until(&mut state, |now| now.cuts != cuts || now.line == Line::Silent) => {}
            () = copy(&mut from_client, to_server, || Duration::ZERO) => return,
            () = copy(from_server, &mut to_client, || pauses.borrow().pause()) => return,
        }
    }
    let mut swallowed = [0; 4096];
    let mut cut = std::pin::pin!(until(&mut state, |now| now.cuts != cuts || now.line == Line::Cut));
    loop {
        tokio::select! {
            biased;
            () = &mut cut => return,
            read = from_client.read(&mut swallowed) => if !read.is_ok_and(|count| count > 0) {
                return cut.await;
            },
        }
    }
}

/// Waits until the state matches, or until the proxy ends.
async fn until(state: &mut watch::Receiver<State>, is_it: impl FnMut(&State) -> bool) {
    let _ended = state.wait_for(is_it).await;
}

/// Copies bytes; `pause` returns how long to delay each chunk.
async fn copy(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, pause: impl Fn() -> Duration) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let pause = pause();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
