//! A relay in front of the broker that holds back deliveries from a consumer and passes everything else, including
//! heartbeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harness::eventually;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::rig::WAIT;

/// The size of a frame's head. AMQP 0.9.1, 2.3.5: type, channel and size before the payload, an end mark after it.
const HEAD: usize = 7;
const METHOD: u8 = 1;
const CONTENT_HEADER: u8 = 2;
const CONTENT_BODY: u8 = 3;
/// Class 60, method 60: `basic.deliver`.
const BASIC_DELIVER: [u8; 4] = [0, 60, 0, 60];

/// The relay, which runs until it is dropped.
pub(crate) struct Starving {
    port: u16,
    starves: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Starving {
    pub(crate) async fn start(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (starves, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (starving, counted) = (Arc::clone(&starves), Arc::clone(&connections));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut relays = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                let broker = TcpStream::connect(&broker).await.expect("the broker");
                counted.fetch_add(1, Ordering::SeqCst);
                relays.spawn(relay(client, broker, Arc::clone(&starving)));
            }
        });
        Self {
            port,
            starves,
            connections,
            _tasks: tasks,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Holds back all messages from now on.
    pub(crate) fn starve(&self) {
        self.starves.store(true, Ordering::SeqCst);
    }

    /// Passes messages again from now on. Those held back so far are lost.
    pub(crate) fn feed(&self) {
        self.starves.store(false, Ordering::SeqCst);
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until there have been `count` connections.
    pub(crate) async fn connected(&self, count: usize) {
        eventually(format!("{count} connections"), WAIT, || async {
            match self.connections() {
                now if now >= count => Ok(()),
                now => Err(format!("{now} connections")),
            }
        })
        .await;
    }
}

async fn relay(client: TcpStream, broker: TcpStream, starves: Arc<AtomicBool>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_broker, mut to_broker) = broker.into_split();
    tokio::select! {
        _ended = copy(&mut from_client, &mut to_broker) => {}
        _ended = sift(BufReader::new(from_broker), to_client, &starves) => {}
    }
}

/// Passes the broker's frames on, but without deliveries and their content while it starves the consumer.
async fn sift(
    mut from: impl AsyncRead + Unpin,
    mut to: OwnedWriteHalf,
    starves: &AtomicBool,
) -> std::io::Result<()> {
    let mut keeps_content = false;
    loop {
        let mut frame = vec![0; HEAD];
        from.read_exact(&mut frame).await?;
        let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]);
        let size = usize::try_from(size).expect("a size");
        frame.resize(HEAD + size + 1, 0);
        from.read_exact(&mut frame[HEAD..]).await?;
        match frame[0] {
            METHOD => {
                let is_delivery = frame[HEAD..].starts_with(&BASIC_DELIVER);
                keeps_content = is_delivery && starves.load(Ordering::SeqCst);
                if keeps_content {
                    continue;
                }
            }
            CONTENT_HEADER | CONTENT_BODY if keeps_content => continue,
            _ => {}
        }
        to.write_all(&frame).await?;
    }
}
