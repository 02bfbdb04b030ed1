//! The ways in which the receiver responds to a request.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::received::Received;

/// The server's response to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Sends this status, these additional headers and this body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Sends the other reply after a delay.
    After(Duration, Box<Reply>),
    /// Sends the other reply once the gate is open.
    Behind(Gate, Box<Reply>),
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Sends these bytes one at a time, with this pause before each, until the client gives up.
    Drip(Duration, Vec<u8>),
    /// Sends the first bytes once, then the others repeatedly until the client gives up.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends nothing, and keeps the connection open until the client gives up.
    Hang,
    /// Closes the connection without an answer.
    Close,
}

/// Holds replies back until the test opens it, so that what happens before does not depend on timing. All clones
/// refer to the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// Creates a closed gate.
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets every reply pass from now on.
    pub fn open(&self) {
        self.0.close();
    }

    async fn opened(&self) {
        // There are no permits, so this ends only when the semaphore is closed.
        let _opened = self.0.acquire().await;
    }
}

impl Reply {
    /// A status with an empty body.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }

    /// 200 with this JSON.
    pub fn json(body: &Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self::Answer(200, headers, body.to_string().into_bytes())
    }

    /// A redirect to `location`.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Answer(
            status,
            vec![("Location".to_owned(), location.to_owned())],
            Vec::new(),
        )
    }

    /// The reply that the path of a callback URL asks for: `/status/N` for that status, `/slow/MS` for 200 after
    /// that many milliseconds, `/hang` for no answer, `/close` for a closed connection, `/redirect/N/REST` for a
    /// redirect to `/REST`, and any other path for 200.
    pub fn by_path(request: &Received) -> Self {
        let path = request.path();
        let mut segments = path.trim_start_matches('/').splitn(3, '/');
        let (verb, first, rest) = (
            segments.next(),
            segments.next().unwrap_or_default(),
            segments.next(),
        );
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("no number in {path}"));
        match verb {
            Some("status") => Self::status(number(first)),
            Some("slow") => {
                let pause = Duration::from_millis(u64::from(number(first)));
                Self::After(pause, Box::new(Self::status(200)))
            }
            Some("hang") => Self::Hang,
            Some("close") => Self::Close,
            Some("redirect") => Self::redirect(number(first), &format!("/{}", rest.unwrap_or_default())),
            _ => Self::status(200),
        }
    }
}

/// Sends the reply; returns whether the connection may be used for another request.
pub(crate) async fn answer(stream: &mut BufReader<TcpStream>, reply: Reply, head_only: bool) -> bool {
    let mut reply = reply;
    loop {
        reply = match reply {
            Reply::After(pause, then) => {
                tokio::time::sleep(pause).await;
                *then
            }
            Reply::Behind(gate, then) => {
                gate.opened().await;
                *then
            }
            _ => break,
        };
    }
    match reply {
        Reply::Answer(status, headers, body) => {
            let mut lines = vec![
                format!("HTTP/1.1 {status} Status"),
                format!("Content-Length: {}", body.len()),
            ];
            lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
            let mut bytes = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
            if !head_only {
                bytes.extend(body);
            }
            stream.get_mut().write_all(&bytes).await.is_ok()
        }
        Reply::Raw(bytes) => {
            let _ = stream.get_mut().write_all(&bytes).await;
            let _ = stream.get_mut().shutdown().await;
            false
        }
        Reply::Drip(pause, bytes) => {
            for byte in bytes {
                tokio::time::sleep(pause).await;
                if stream.get_mut().write_all(&[byte]).await.is_err() {
                    break;
                }
            }
            false
        }
        Reply::Endless(begin, again) => {
            let mut sent = stream.get_mut().write_all(&begin).await;
            while sent.is_ok() {
                sent = stream.get_mut().write_all(&again).await;
            }
            false
        }
        Reply::Hang => {
            // This ends when the client closes the connection.
            let _ = stream.read_u8().await;
            false
        }
        Reply::Close | Reply::After(..) | Reply::Behind(..) => false,
    }
}
