//! A tap on the connection to Redis, which shows the commands that are sent.

use std::mem;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A listener that forwards everything to Redis and records what is sent.
pub(crate) struct RedisTap {
    pub(crate) port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl RedisTap {
    pub(crate) async fn start(redis_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let record = sent.clone();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", redis_port)).await.unwrap();
                lines.spawn(pass_on(client, server, record.clone()));
            }
        });
        Self {
            port,
            sent,
            _tasks: tasks,
        }
    }

    /// Returns the commands since the last call, without those that greet a new connection.
    pub(crate) fn take(&self) -> Vec<Vec<String>> {
        commands(&mem::take(&mut *self.sent.lock().unwrap()))
    }
}

async fn pass_on(client: TcpStream, server: TcpStream, record: Arc<Mutex<Vec<u8>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            record.lock().unwrap().extend_from_slice(&buffer[..count]);
            to_server.write_all(&buffer[..count]).await.unwrap();
        }
    };
    let down = async {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    };
    tokio::join!(up, down);
}

/// Reads commands (arrays of bulk strings) and leaves out those that greet a new connection.
pub(crate) fn commands(mut sent: &[u8]) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    while !sent.is_empty() {
        let count = number(&mut sent, b'*');
        let words: Vec<String> = (0..count)
            .map(|_| {
                let length = number(&mut sent, b'$');
                let (word, rest) = sent.split_at(length);
                sent = &rest[2..];
                String::from_utf8_lossy(word).into_owned()
            })
            .collect();
        if !["HELLO", "CLIENT"].contains(&words[0].as_str()) {
            commands.push(words);
        }
    }
    commands
}

fn number(sent: &mut &[u8], kind: u8) -> usize {
    let end = sent.iter().position(|byte| *byte == b'\r').unwrap();
    assert_eq!(sent[0], kind, "{}", String::from_utf8_lossy(sent));
    let number = std::str::from_utf8(&sent[1..end]).unwrap().parse().unwrap();
    *sent = &sent[end + 2..];
    number
}
