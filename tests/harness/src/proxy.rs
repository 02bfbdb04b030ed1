//! A TCP relay whose line a test can cut or silence.

use std::net::Ipv4Addr;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::port::listen;

/// A relay on 127.0.0.1 to another address, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Bytes pass.
    Open,
    /// Bytes are swallowed both ways; connections stay open and new ones are accepted.
    Silent,
    /// Connections are closed, new ones at once.
    Cut,
}

impl Proxy {
    /// Starts relaying to `target`, such as [`Vhost::address`](crate::Vhost::address).
    #[expect(
        clippy::unused_async,
        reason = "it needs the runtime, as the start of every other server here"
    )]
    pub async fn start(target: impl Into<String>) -> Self {
        let (listener, port) = listen(Ipv4Addr::LOCALHOST);
        let (line, changes) = watch::channel(Line::Open);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, target.into(), changes));
        Self {
            port,
            line,
            _tasks: tasks,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on swallows everything. A connection that was silent once stays so.
    pub fn silence(&self) {
        self.line.send_replace(Line::Silent);
    }

    /// Closes every connection, and new ones as they come.
    pub fn cut(&self) {
        self.line.send_replace(Line::Cut);
    }

    /// Relays new connections again.
    pub fn restore(&self) {
        self.line.send_replace(Line::Open);
    }
}

async fn serve(listener: TcpListener, target: String, line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(relay(client, target.clone(), line.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Relays until the line changes, then does as the line says until the connection ends.
async fn relay(client: TcpStream, target: String, mut line: watch::Receiver<Line>) {
    let mut server = None;
    if *line.borrow_and_update() == Line::Open {
        let Ok(stream) = TcpStream::connect(target).await else {
            return;
        };
        server = Some(stream.into_split());
    }
    let (mut from_client, mut to_client) = client.into_split();
    if let Some((from_server, to_server)) = &mut server {
        tokio::select! {
            () = copy(&mut from_client, to_server) => return,
            () = copy(from_server, &mut to_client) => return,
            _ = line.wait_for(|line| *line != Line::Open) => {}
        }
    }
    let mut swallowed = [0; 4096];
    let mut cut = std::pin::pin!(line.wait_for(|line| *line == Line::Cut));
    loop {
        tokio::select! {
            biased;
            _ = &mut cut => return,
            read = from_client.read(&mut swallowed) => if !read.is_ok_and(|count| count > 0) { return },
        }
    }
}

async fn copy(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
