//! A TCP server that plays a script on every connection, whether or not that is HTTP.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// One step of the server's script; after the last one it closes the connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Reads one request: head and announced body.
    Read,
    /// Sends bytes.
    Send(Vec<u8>),
    /// Waits.
    Pause(Duration),
    /// Sends nothing until the client gives up.
    Hang,
    /// Closes as soon as something has arrived, without reading it: the system resets the connection.
    DropUnread,
    /// Resets the connection.
    Reset,
}

/// Returns a script that reads a request, sends these bytes and closes.
pub(crate) fn answer(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    vec![Step::Read, Step::Send(bytes.as_ref().to_vec())]
}

/// Returns a script that does the same but, instead of closing, sends nothing more.
pub(crate) fn silent_after(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    vec![Step::Read, Step::Send(bytes.as_ref().to_vec()), Step::Hang]
}

/// A server on 127.0.0.1 that runs until it is dropped.
pub(crate) struct Peer {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Peer {
    /// Starts a server that plays `script` on every connection.
    pub(crate) async fn playing(script: Vec<Step>) -> Self {
        Self::choosing(move |_| script.clone()).await
    }

    /// Starts a server that reads a request and plays the script that `choose` returns for it; a leading [`Step::Read`]
    /// has then already been played.
    pub(crate) async fn choosing(choose: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::new(choose), Arc::clone(&requests)));
        Self {
            port,
            requests,
            _serving: serving,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the requests so far, each with its body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

type Choice = Arc<dyn Fn(&str) -> Vec<Step> + Send + Sync>;

async fn serve(listener: TcpListener, choose: Choice, requests: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(play(stream, Arc::clone(&choose), Arc::clone(&requests)));
        while connections.try_join_next().is_some() {}
    }
}

async fn play(mut stream: TcpStream, choose: Choice, requests: Arc<Mutex<Vec<String>>>) {
    let first = choose("");
    let script = if matches!(first.first(), Some(Step::Read)) || first.is_empty() {
        let request = read_request(&mut stream).await;
        requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
        choose(&request)
    } else {
        first
    };
    for step in script {
        match step {
            Step::Read => {}
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Pause(time) => tokio::time::sleep(time).await,
            Step::Hang => {
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            }
            Step::DropUnread => {
                stream.readable().await.unwrap();
                return;
            }
            Step::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
        }
    }
    let _ = stream.shutdown().await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut rest)).await;
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => request.extend_from_slice(&chunk[..n]),
        }
    }
}

/// A listening port whose queue is full: clients that connect get no answer.
pub(crate) struct Full {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Full {
    pub(crate) async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        let patience = Duration::from_millis(200);
        while let Ok(connected) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
            waiting.push(connected.unwrap());
        }
        Self {
            listener,
            _waiting: waiting,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }
}
