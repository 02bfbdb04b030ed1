//! The byte stream under hyper: it sends the given request line and keeps the first line of the answer.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The number of bytes that Python's `http.client` reads of the answer's first line, plus one to detect a longer one.
const FIRST_LINE_LIMIT: usize = 65_537;

/// The part of the answer received over a [`Wire`] that hyper does not report.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    /// The first line with its line end, as far as it has arrived.
    pub(super) first_line: Vec<u8>,
}

/// A connection for one request. hyper's `Uri` does not accept every request target (at most 65,534 bytes) and changes
/// some of them, so hyper writes `/` and the wire replaces its request line with the real one.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    request_line: Vec<u8>,
    sent: usize,
    placeholder_left: usize,
    received: Arc<Mutex<Received>>,
    first_line_ended: bool,
}

impl<S> Wire<S> {
    /// Creates a wire that sends `target` where hyper writes `/`.
    pub(super) fn new(stream: S, method: &str, target: &str) -> (Self, Arc<Mutex<Received>>) {
        let received = Arc::default();
        let wire = Self {
            stream,
            request_line: format!("{method} {target} HTTP/1.1\r\n").into_bytes(),
            sent: 0,
            placeholder_left: format!("{method} / HTTP/1.1\r\n").len(),
            received: Arc::clone(&received),
            first_line_ended: false,
        };
        (wire, received)
    }

    fn note(&mut self, bytes: &[u8]) {
        if self.first_line_ended {
            return;
        }
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let line = &mut received.first_line;
        let room = FIRST_LINE_LIMIT - line.len();
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(bytes.len()).min(room);
        line.extend_from_slice(&bytes[..taken]);
        self.first_line_ended = end.is_some() || line.len() == FIRST_LINE_LIMIT;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut wire.stream).poll_read(cx, buffer)) {
            // The TLS connection ended without close_notify; the framing of HTTP shows whether something is missing.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            result => result?,
        }
        wire.note(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        while wire.sent < wire.request_line.len() {
            let rest = &wire.request_line[wire.sent..];
            wire.sent += ready!(forgive(
                rest.len(),
                Pin::new(&mut wire.stream).poll_write(cx, rest)
            ))?;
        }
        if wire.placeholder_left > 0 {
            let skipped = wire.placeholder_left.min(bytes.len());
            wire.placeholder_left -= skipped;
            return Poll::Ready(Ok(skipped));
        }
        forgive(bytes.len(), Pin::new(&mut wire.stream).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Ignores a broken pipe: a peer that has stopped reading may still have answered, so its answer is read, as in
/// urllib3.
fn forgive(length: usize, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    match written {
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Poll::Ready(Ok(length)),
        written => written,
    }
}
