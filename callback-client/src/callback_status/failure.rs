//! Callbacks without a complete answer, in the words of Python's `requests` and urllib3.

use std::fmt;
use std::io;

use crate::python_text::repr;

/// A request that received no complete answer.
#[derive(Debug)]
pub struct Failure {
    pub(crate) at: Peer,
    /// The request target.
    pub(crate) target: String,
    pub(crate) cause: Cause,
}

/// The target of a connection, formatted like urllib3's connection pools.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The reason why there is no complete answer. Timeouts are in whole seconds.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The name does not resolve to an address.
    NameResolution(io::Error),
    /// No address of the host may be called (`CALLBACK_NETWORKS`). Python has no such rule.
    Forbidden,
    /// A part of the URL is not valid in a header.
    BadHeader,
    /// The connection failed.
    Connect(io::Error),
    /// There was no connection in time.
    ConnectTimeout { seconds: u64 },
    /// The proxy was not reached, or it refused the tunnel.
    Proxy(ProxyFailure),
    /// The TLS handshake failed.
    Tls(TlsFailure),
    /// There was no answer in time, or only a part of its head.
    ReadTimeout { seconds: u64 },
    /// The body was not complete in time.
    BodyTimeout,
    /// The connection ended before an answer, or the answer is not HTTP.
    Aborted(Abort),
    /// The connection ended, or the framing was broken, within the body.
    Broken(Break),
}

/// What arrived instead of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Abort {
    /// The connection was closed before the first byte.
    Closed,
    /// Reading failed; contains the operating system's error number, if there is one.
    Os(Option<i32>),
    /// The first line is not a status line of HTTP.
    BadStatusLine(Vec<u8>),
    /// The version in the status line is not 1.x.
    UnknownProtocol(Vec<u8>),
    /// The first line has more than 65,536 bytes.
    StatusLineTooLong,
    /// The head has 100 lines or more.
    TooManyHeaders,
}

/// The reason why a body is not complete.
#[derive(Debug)]
pub(crate) enum Break {
    /// The connection was closed before the announced end.
    Incomplete { read: u64, expected: u64 },
    /// The connection was closed within a chunked body.
    Ended,
    /// Reading failed.
    Os(Option<i32>),
    /// The body is not framed according to HTTP; contains the library's text.
    Framing(String),
}

/// The reason why a TLS handshake failed.
#[derive(Debug)]
pub(crate) enum TlsFailure {
    /// The certificate is not acceptable; contains OpenSSL's text.
    Certificate(String),
    /// The peer closed the connection.
    Closed,
    /// Any other reason.
    Other(String),
}

/// The failure of a proxy.
#[derive(Debug)]
pub(crate) enum ProxyFailure {
    /// The connection to the proxy failed.
    Connect(io::Error),
    /// It answered CONNECT with a status other than 2xx; contains the status and the reason.
    Tunnel(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, target, cause } = self;
        let retries = |f: &mut fmt::Formatter<'_>, inner: &str| {
            write!(
                f,
                "{}: Max retries exceeded with url: {target} (Caused by {inner})",
                at.pool()
            )
        };
        match cause {
            Cause::NameResolution(error) => {
                let reason = python_resolver_error(error);
                let text = format!("{}: Failed to resolve '{}' ({reason})", at.connection(), at.host);
                retries(f, &format!("NameResolutionError({})", repr(&text)))
            }
            Cause::Forbidden => write!(
                f,
                "{}: not a permitted callback target (CALLBACK_NETWORKS)",
                at.pool()
            ),
            Cause::BadHeader => write!(f, "{}: the URL cannot be sent in a header", at.pool()),
            Cause::Connect(error) => retries(f, &new_connection_error(&at.connection(), error)),
            Cause::ConnectTimeout { seconds } => {
                let text = format!("Connection to {} timed out. (connect timeout={seconds})", at.host);
                retries(
                    f,
                    &format!("ConnectTimeoutError(<{}>, {})", at.connection(), repr(&text)),
                )
            }
            Cause::Proxy(failure) => {
                let inner = match failure {
                    ProxyFailure::Connect(error) => new_connection_error(&at.connection(), error),
                    ProxyFailure::Tunnel(answer) => {
                        format!(
                            "OSError({})",
                            repr(&format!("Tunnel connection failed: {answer}"))
                        )
                    }
                };
                retries(f, &format!("ProxyError('Unable to connect to proxy', {inner})"))
            }
            Cause::Tls(failure) => retries(f, &format!("SSLError({})", failure.python())),
            Cause::ReadTimeout { seconds } => {
                write!(f, "{}: Read timed out. (read timeout={seconds})", at.pool())
            }
            Cause::BodyTimeout => write!(f, "{}: Read timed out.", at.pool()),
            Cause::Aborted(abort) => write!(f, "('Connection aborted.', {})", abort.python()),
            Cause::Broken(how) => how.fmt(f),
        }
    }
}

impl Peer {
    fn pool(&self) -> String {
        self.named("Pool")
    }

    fn connection(&self) -> String {
        self.named("")
    }

    fn named(&self, suffix: &str) -> String {
        let scheme = if self.tls { "HTTPS" } else { "HTTP" };
        format!(
            "{scheme}Connection{suffix}(host='{}', port={})",
            self.host, self.port
        )
    }
}

impl Abort {
    fn python(&self) -> String {
        match self {
            Self::Closed => "RemoteDisconnected('Remote end closed connection without response')".to_owned(),
            Self::Os(number) => os_error(*number),
            Self::BadStatusLine(line) => format!("BadStatusLine({})", repr(&latin1(line))),
            Self::UnknownProtocol(version) => format!("UnknownProtocol({})", repr(&latin1(version))),
            Self::StatusLineTooLong => {
                "LineTooLong('got more than 65536 bytes when reading status line')".to_owned()
            }
            Self::TooManyHeaders => "HTTPException('got more than 100 headers')".to_owned(),
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = match self {
            Self::Ended => return f.write_str("Response ended prematurely"),
            Self::Incomplete { read, expected } => {
                format!(
                    "IncompleteRead({read} bytes read, {} more expected)",
                    expected.saturating_sub(*read)
                )
            }
            Self::Os(number) => os_error(*number),
            Self::Framing(why) => format!("ProtocolError({})", repr(why)),
        };
        write!(f, "({}, {inner})", repr(&format!("Connection broken: {inner}")))
    }
}

impl TlsFailure {
    fn python(&self) -> String {
        match self {
            Self::Certificate(why) => {
                let text = format!("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {why}");
                format!("SSLCertVerificationError(1, {})", repr(&text))
            }
            Self::Closed => {
                let text = "[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol";
                format!("SSLEOFError(8, {})", repr(text))
            }
            Self::Other(why) => format!("SSLError(1, {})", repr(&format!("[SSL] {why}"))),
        }
    }
}

fn new_connection_error(connection: &str, error: &io::Error) -> String {
    let reason = python_os_error(error);
    let text = format!("{connection}: Failed to establish a new connection: {reason}");
    format!("NewConnectionError({})", repr(&text))
}

/// Returns a text such as `[Errno 111] Connection refused`.
fn python_os_error(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("[Errno {number}] {}", reason(error)),
        None => error.to_string(),
    }
}

/// Returns a text such as `ConnectionResetError(104, 'Connection reset by peer')`.
fn os_error(number: Option<i32>) -> String {
    let Some(number) = number else {
        return "OSError('the connection failed')".to_owned();
    };
    let error = io::Error::from_raw_os_error(number);
    let class = match error.kind() {
        io::ErrorKind::ConnectionReset => "ConnectionResetError",
        io::ErrorKind::ConnectionAborted => "ConnectionAbortedError",
        io::ErrorKind::TimedOut => "TimeoutError",
        _ => "OSError",
    };
    format!("{class}({number}, {})", repr(&reason(&error)))
}

fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Returns the resolver's error with its number, which the standard library drops.
fn python_resolver_error(error: &io::Error) -> String {
    const PREFIX: &str = "failed to lookup address information: ";
    const NUMBERS: [(&str, i32); 4] = [
        ("Name or service not known", -2),
        ("Temporary failure in name resolution", -3),
        ("Non-recoverable failure in name resolution", -4),
        ("No address associated with hostname", -5),
    ];
    let text = error.to_string();
    let text = text.strip_prefix(PREFIX).unwrap_or(&text);
    match NUMBERS.iter().find(|(known, _)| *known == text) {
        Some((known, number)) => format!("[Errno {number}] {known}"),
        None => text.to_owned(),
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
