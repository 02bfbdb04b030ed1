//! A tunnel through an HTTP proxy.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::callback_status::{Cause, ProxyFailure};
use crate::proxy::Proxy;

/// Maximum length of a proxy's answer to CONNECT in bytes.
const ANSWER_LIMIT: usize = 8 * 1024;

/// Asks a proxy for a tunnel to `host`.
pub(super) async fn tunnel(
    mut proxied: TcpStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<TcpStream, Cause> {
    let connect = |error| Cause::Proxy(ProxyFailure::Connect(error));
    let authority = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    proxied.write_all(&request).await.map_err(connect)?;

    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == ANSWER_LIMIT {
            return Err(Cause::Proxy(ProxyFailure::Tunnel(
                "the proxy's answer has no end".to_owned(),
            )));
        }
        // Read one byte at a time, because the bytes after the head belong to the tunnel.
        answer.push(proxied.read_u8().await.map_err(connect)?);
    }
    let head = String::from_utf8_lossy(&answer);
    let status = head
        .lines()
        .next()
        .and_then(|line| line.split_once(' '))
        .map_or("", |(_, status)| status);
    if status.starts_with('2') {
        Ok(proxied)
    } else {
        Err(Cause::Proxy(ProxyFailure::Tunnel(status.to_owned())))
    }
}
