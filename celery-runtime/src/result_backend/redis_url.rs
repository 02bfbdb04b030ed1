//! `redis://` URLs as Celery's result backend reads them (`celery/backends/redis.py: _params_from_url`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult};

use super::error::ResultBackendError;

const PORT: u16 = 6379;

/// A URL `redis://[user][:password]@host[:port]/db`; the default host is `localhost`, the default database 0. Of
/// Python's options in the query, only `db` is used: calls have their own deadlines here. `Display` and `Debug`
/// mask the password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    host: String,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    /// The path as it was written, for `Display`.
    path: String,
    database: i64,
}

impl RedisUrl {
    /// Returns the address to dial and the login.
    pub(super) fn connection_info(&self, tcp: TcpSettings) -> RedisResult<ConnectionInfo> {
        let mut settings = RedisConnectionInfo::default().set_db(self.database);
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        } else if self.user.is_some() {
            // redis-py logs in like this.
            settings = settings.set_password("");
        }
        let address = ConnectionAddr::Tcp(self.host.clone(), self.port.unwrap_or(PORT));
        let info = address.into_connection_info()?;
        Ok(info.set_redis_settings(settings).set_tcp_settings(tcp))
    }
}

impl FromStr for RedisUrl {
    type Err = ResultBackendError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("redis").unwrap_or(text);
        let rest = rest.strip_prefix("://").unwrap_or(rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user_info, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let (host, port) = split_port(host_port)?;
        let options: Vec<(&str, &str)> = query
            .split('&')
            .filter_map(|option| option.split_once('='))
            .collect();
        if options.iter().any(|(name, _)| name.starts_with("ssl_")) {
            return Err(ResultBackendError::Tls);
        }
        let path = decoded(path, "database")?;
        let in_query = options.iter().rev().find(|(name, _)| *name == "db");
        Ok(Self {
            host: if host.is_empty() {
                "localhost".to_owned()
            } else {
                decoded(host, "host")?.into_owned()
            },
            port: port.map(number_of_port).transpose()?,
            user: not_empty(decoded(user, "user")?),
            password: not_empty(decoded(password, "password")?),
            database: number_of_database(in_query.map_or(&*path, |(_, number)| number))?,
            path: path.into_owned(),
        })
    }
}

fn split_port(host_port: &str) -> Result<(&str, Option<&str>), ResultBackendError> {
    let (host, port) = match host_port.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or(ResultBackendError::Host)?;
            (host, rest.strip_prefix(':'))
        }
        None => match host_port.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_port, None),
        },
    };
    Ok((host, port.filter(|port| !port.is_empty())))
}

fn number_of_port(text: &str) -> Result<u16, ResultBackendError> {
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or(ResultBackendError::Port)
}

/// Parses the database. Python strips slashes only if there is something to read.
fn number_of_database(text: &str) -> Result<i64, ResultBackendError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.trim_matches('/')
        .trim()
        .parse()
        .ok()
        .filter(|number| *number >= 0)
        .ok_or(ResultBackendError::Database)
}

fn decoded<'t>(text: &'t str, part: &'static str) -> Result<Cow<'t, str>, ResultBackendError> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| ResultBackendError::Escape(part))
}

fn not_empty(text: Cow<'_, str>) -> Option<String> {
    (!text.is_empty()).then(|| text.into_owned())
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redis://")?;
        if self.user.is_some() || self.password.is_some() {
            f.write_str(self.user.as_deref().unwrap_or_default())?;
            f.write_str(if self.password.is_some() { ":**@" } else { "@" })?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", self.path)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares text, shown form, host, port, database, user and password with `app.backend.connparams` and
    /// `as_uri()` in Celery 5.7 (which shows no host if none is given, and escapes the colons of an IPv6 address).
    #[test]
    fn reads_what_celery_reads() {
        for (text, shown, host, port, database, user, password) in [
            ("redis", "redis://localhost/", "localhost", 6379, 0, None, None),
            ("redis://", "redis://localhost/", "localhost", 6379, 0, None, None),
            ("redis://h", "redis://h/", "h", 6379, 0, None, None),
            ("redis://h:1/3", "redis://h:1/3", "h", 1, 3, None, None),
            (
                "redis://:pw@h:6380/2",
                "redis://:**@h:6380/2",
                "h",
                6380,
                2,
                None,
                Some("pw"),
            ),
            (
                "redis://u:p%40w@h/0?socket_timeout=3",
                "redis://u:**@h/0",
                "h",
                6379,
                0,
                Some("u"),
                Some("p@w"),
            ),
            ("redis://h/1?db=4", "redis://h/1", "h", 6379, 4, None, None),
            ("redis://:@h", "redis://h/", "h", 6379, 0, None, None),
            ("redis://u@h", "redis://u@h/", "h", 6379, 0, Some("u"), None),
            (
                "redis://:a@b@h/1",
                "redis://:**@h/1",
                "h",
                6379,
                1,
                None,
                Some("a@b"),
            ),
            ("redis://[::1]:7/1", "redis://[::1]:7/1", "::1", 7, 1, None, None),
            ("redis://h/%31", "redis://h/1", "h", 6379, 1, None, None),
        ] {
            let url: RedisUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(format!("{url:?}"), shown, "{text}");
            assert_eq!(
                (url.host.as_str(), url.port.unwrap_or(PORT), url.database),
                (host, port, database),
                "{text}"
            );
            assert_eq!(
                (url.user.as_deref(), url.password.as_deref()),
                (user, password),
                "{text}"
            );
        }
    }

    #[test]
    fn errors_name_the_part() {
        let refused = |text: &str| text.parse::<RedisUrl>().unwrap_err();
        for text in [
            "redis://h/abc",
            "redis://h//",
            "redis://h/1/2",
            "redis://h/-1",
            "redis://h?db=x",
        ] {
            assert_eq!(refused(text), ResultBackendError::Database, "{text}");
        }
        assert_eq!(refused("redis://h:x/"), ResultBackendError::Port);
        assert_eq!(refused("redis://h:0/"), ResultBackendError::Port);
        assert_eq!(refused("redis://[::1/"), ResultBackendError::Host);
        assert_eq!(refused("redis://:%FF@h"), ResultBackendError::Escape("password"));
        assert_eq!(refused("redis://h?ssl_cert_reqs=none"), ResultBackendError::Tls);
    }

    #[test]
    fn the_password_is_sent_only_to_the_server() {
        let url: RedisUrl = "redis://u:secret@h/3".parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("secret"));
        let info = url.connection_info(TcpSettings::default()).unwrap();
        assert_eq!(info.redis_settings().password(), Some("secret"));
        assert_eq!(info.redis_settings().db(), 3);
    }
}
