//! The exchange of one request and its answer, which is read as far as a callback needs it.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::timeout_at;

use super::connect::{Deadline, Stream, handshake_failure, rustls_error};
use super::wire::{Received, Wire};
use crate::callback_status::{Abort, Break, Cause};

/// Maximum number of bytes that are read of a final answer's body.
const BODY_LIMIT: usize = 64 * 1024;

/// Maximum number of header lines, one less than the number at which Python gives up.
const HEADER_LIMIT: usize = 99;

/// Maximum length of a status line in bytes, as in Python.
const STATUS_LINE_LIMIT: usize = 65_536;

/// The head of an answer. The body of a final answer has been read up to the limit.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
}

impl Answer {
    /// Returns the target of a redirect, if this is one. Several Location headers are joined by commas; an empty one
    /// does not count.
    pub(super) fn location(&self) -> Option<Vec<u8>> {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let all: Vec<&[u8]> = self
            .headers
            .get_all(header::LOCATION)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        Some(all.join(&b", "[..])).filter(|location| !location.is_empty())
    }

    /// Returns the values of `Set-Cookie` that are ASCII.
    pub(super) fn cookies(&self) -> impl Iterator<Item = String> {
        let values = self.headers.get_all(header::SET_COOKIE).iter();
        values.filter_map(|value| value.to_str().ok().map(ToOwned::to_owned))
    }
}

/// Sends `request` with `target` as its request target, and reads the answer.
pub(super) async fn receive(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    target: &str,
    host: &str,
    deadline: Deadline,
) -> Result<Answer, Cause> {
    let (wire, received) = Wire::new(stream, request.method().as_str(), target);
    let mut settings = http1::Builder::new();
    settings
        .title_case_headers(true)
        .max_headers(HEADER_LIMIT)
        .ignore_invalid_headers_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    let handshake = settings.handshake(TokioIo::new(wire)).await;
    let (mut sender, connection) =
        handshake.map_err(|error| Cause::Broken(Break::Framing(error.to_string())))?;

    let exchange = async {
        match timeout_at(deadline.at, sender.send_request(request)).await {
            Err(_) => Err(deadline.read_timeout()),
            Ok(Err(error)) => without_head(&error, first_line(&received), host),
            Ok(Ok(response)) => match status_line(first_line(&received)) {
                // Python skips only 100 and reads nothing after any other interim answer.
                Ok(interim @ 102..200) => Ok(Answer {
                    status: interim,
                    headers: HeaderMap::new(),
                }),
                Ok(_) => read(response, deadline).await,
                Err(abort) => Err(Cause::Aborted(abort)),
            },
        }
    };
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut connected = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            // The exchange reports how the connection ended.
            _ = &mut connection, if connected => connected = false,
        }
    }
}

/// Interprets, as Python does, an answer that hyper does not accept: a valid status line is enough.
fn without_head(error: &hyper::Error, first_line: Vec<u8>, host: &str) -> Result<Answer, Cause> {
    if let Some(error) = io_error(error) {
        return Err(match rustls_error(error) {
            Some(_) => handshake_failure(error, host),
            None => Cause::Aborted(Abort::Os(error.raw_os_error())),
        });
    }
    let status = status_line(first_line).map_err(Cause::Aborted)?;
    if error.is_parse_too_large() {
        return Err(Cause::Aborted(Abort::TooManyHeaders));
    }
    Ok(Answer {
        status,
        headers: HeaderMap::new(),
    })
}

fn first_line(received: &Mutex<Received>) -> Vec<u8> {
    std::mem::take(&mut received.lock().unwrap_or_else(PoisonError::into_inner).first_line)
}

/// Parses a status line like `http.client.HTTPResponse._read_status` and `begin`.
fn status_line(line: Vec<u8>) -> Result<u16, Abort> {
    if line.is_empty() {
        return Err(Abort::Closed);
    }
    if line.len() > STATUS_LINE_LIMIT {
        return Err(Abort::StatusLineTooLong);
    }
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let (version, code) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let code = std::str::from_utf8(code)
        .ok()
        .and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(code) if version.starts_with(b"HTTP/") && (100..1000).contains(&code) => {
            if version.starts_with(b"HTTP/1.") || version == b"HTTP/0.9" {
                Ok(code)
            } else {
                Err(Abort::UnknownProtocol(version.to_vec()))
            }
        }
        _ => Err(Abort::BadStatusLine(line)),
    }
}

async fn read(response: Response<Incoming>, deadline: Deadline) -> Result<Answer, Cause> {
    let (head, body) = response.into_parts();
    let answer = Answer {
        status: head.status.as_u16(),
        headers: head.headers,
    };
    if answer.location().is_none() {
        timeout_at(deadline.at, read_body(body, &answer.headers))
            .await
            .map_err(|_| Cause::BodyTimeout)??;
    }
    Ok(answer)
}

async fn read_body(mut body: Incoming, headers: &HeaderMap) -> Result<(), Cause> {
    let mut read = 0;
    while read < BODY_LIMIT {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => return Err(Cause::Broken(broken(&error, read, headers))),
        }
    }
    Ok(())
}

fn broken(error: &hyper::Error, read: usize, headers: &HeaderMap) -> Break {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    match (io_error(error), announced) {
        (Some(error), _) if error.raw_os_error().is_some() => Break::Os(error.raw_os_error()),
        (_, Some(expected)) => Break::Incomplete {
            read: u64::try_from(read).unwrap_or(u64::MAX),
            expected,
        },
        (Some(error), None) if error.kind() == std::io::ErrorKind::UnexpectedEof => Break::Ended,
        (Some(error), None) => Break::Framing(error.to_string()),
        (None, None) if error.is_incomplete_message() => Break::Ended,
        (None, None) => Break::Framing(error.to_string()),
    }
}

fn io_error(error: &hyper::Error) -> Option<&std::io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}
