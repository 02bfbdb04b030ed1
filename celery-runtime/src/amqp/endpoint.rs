//! One broker of a broker URL.

use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

/// Seconds between AMQP heartbeats, unless the URL contains `?heartbeat=`; the broker may lower the value.
///
/// Celery requests 120 (contract B.2). A peer that vanished without closing is noticed after two missed heartbeats,
/// so a worker that must not rely on a dead connection requests less.
const HEARTBEAT_SECONDS: u16 = 20;

/// The address to dial and the login to use.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    tls: bool,
    host: String,
    port: u16,
    user: String,
    pub(super) password: String,
    pub(super) vhost: String,
    pub(super) heartbeat: u16,
}

/// The reason why a text is not a valid broker URL. It never contains the text itself, which may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BrokerUrlError {
    /// There is no `scheme://` at the start.
    #[error("the broker URL has no scheme; write it as amqp://user:password@host:5672/vhost")]
    NoScheme,
    /// The transport is not AMQP.
    #[error("the broker transport `{0}` is not supported; only amqp://, pyamqp:// and amqps:// are")]
    Transport(String),
    /// The port is not a number from 1 to 65535.
    #[error("the port in the broker URL is not a number from 1 to 65535")]
    Port,
    /// The percent escapes of a part do not decode to valid UTF-8.
    #[error("the {0} in the broker URL is not valid UTF-8 after decoding its percent escapes")]
    Escape(&'static str),
    /// `?heartbeat=` is not a number of seconds.
    #[error("heartbeat in the broker URL is not a number of seconds from 0 to 65535")]
    Heartbeat,
    /// The opening bracket of an IPv6 address has no closing bracket.
    #[error("the host in the broker URL has an opening bracket without a closing one")]
    Host,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            tls: false,
            host: "localhost".to_owned(),
            port: 5672,
            user: "guest".to_owned(),
            password: "guest".to_owned(),
            vhost: "/".to_owned(),
            heartbeat: HEARTBEAT_SECONDS,
        }
    }
}

impl Endpoint {
    pub(super) fn amqp_uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: if self.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.clone(),
                },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(self.heartbeat),
                ..AMQPQueryString::default()
            },
        }
    }
}

impl FromStr for Endpoint {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(BrokerUrlError::NoScheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "amqp" | "pyamqp" => false,
            "amqps" => true,
            other => return Err(BrokerUrlError::Transport(other.to_owned())),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user_info, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match user_info.split_once(':') {
            Some((user, password)) => (user, password),
            None if user_info.is_empty() => ("guest", "guest"),
            None => (user_info, "guest"),
        };
        let (host, port) = split_port(host_port)?;
        let vhost = decoded(path, "virtual host")?;
        Ok(Self {
            tls,
            host: if host.is_empty() {
                "localhost".to_owned()
            } else {
                host.to_owned()
            },
            port: match port {
                None => {
                    if tls {
                        5671
                    } else {
                        5672
                    }
                }
                Some(port) => port
                    .parse()
                    .ok()
                    .filter(|port| *port != 0)
                    .ok_or(BrokerUrlError::Port)?,
            },
            user: decoded(user, "user")?,
            password: decoded(password, "password")?,
            vhost: if vhost.is_empty() { "/".to_owned() } else { vhost },
            heartbeat: heartbeat(query)?,
        })
    }
}

fn split_port(host_port: &str) -> Result<(&str, Option<&str>), BrokerUrlError> {
    if let Some(bracketed) = host_port.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or(BrokerUrlError::Host)?;
        return Ok((host, rest.strip_prefix(':').filter(|port| !port.is_empty())));
    }
    match host_port.rsplit_once(':') {
        Some((host, "")) => Ok((host, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((host_port, None)),
    }
}

fn heartbeat(query: &str) -> Result<u16, BrokerUrlError> {
    query
        .split('&')
        .find_map(|field| field.strip_prefix("heartbeat="))
        .map_or(Ok(HEARTBEAT_SECONDS), |seconds| {
            seconds.parse().map_err(|_| BrokerUrlError::Heartbeat)
        })
}

fn decoded(text: &str, part: &'static str) -> Result<String, BrokerUrlError> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| BrokerUrlError::Escape(part))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let Self {
            host,
            port,
            user,
            vhost,
            ..
        } = self;
        // An unescaped `/` in a password makes the rest of the password a part of the virtual host.
        let vhost = vhost
            .rsplit_once('@')
            .map_or(vhost.clone(), |(_, rest)| format!("**@{rest}"));
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{user}:**@{open}{host}{close}:{port}/{vhost}")
    }
}
