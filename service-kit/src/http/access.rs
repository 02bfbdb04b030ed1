//! Access lines: one for each request, as Werkzeug's development server writes them, but without secrets.

use std::net::SocketAddr;
use std::str::FromStr;

use axum::http::{Method, StatusCode, Uri, Version};
use jiff::ZonedDateTime;

use super::target::Target;
use crate::env::{Reader, Variable};
use crate::telemetry::Filter;

/// Whether access lines are logged.
pub const ACCESS_LOG: Variable = Variable {
    name: "ACCESS_LOG",
    default: Some("off"),
    meaning: "on: log one line per HTTP request, as Flask's development server does, but without tokens and queries",
};

/// Methods that are shown; any other may contain anything.
const KNOWN_METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
    Method::TRACE,
    Method::CONNECT,
];

/// The maximum number of path segments that are shown.
const LONGEST: usize = 12;

/// The replacement for anything that must not be shown.
const MASK: &str = "***";

/// A segment of a path of which access lines may show more than `***`.
#[derive(Debug, Clone, Copy)]
pub enum Segment {
    /// Shown if it is this word.
    Word(&'static str),
    /// Shown if this function returns true, which it must do for plain characters only.
    If(fn(&str) -> bool),
    /// Never shown.
    Masked,
}

/// The access log of one listener. Off unless it is given the paths.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccessLog {
    path: Option<&'static [Segment]>,
}

/// The start of a line, taken from a request before it is answered.
pub(super) struct Line {
    client: SocketAddr,
    request: String,
}

struct OnOff(bool);

/// Reads whether [`ACCESS_LOG`] is on.
pub fn read_access_log(reader: &mut Reader<'_>) -> bool {
    let OnOff(on) = reader.parse(&ACCESS_LOG, "on or off");
    on
}

impl AccessLog {
    /// Logs lines if `on`. They show a request's path only as long as it matches `path`: everything after a segment
    /// that does not match, and everything else that a client sent, is masked.
    pub fn new(on: bool, path: &'static [Segment]) -> Self {
        Self {
            path: on.then_some(path),
        }
    }

    /// Returns the filter with the lines enabled, unless it configures them itself.
    #[must_use]
    pub fn filter(on: bool, filter: Filter) -> Filter {
        if !on || filter.to_string().contains("access=") {
            return filter;
        }
        match "access=info".parse() {
            Ok(lines) => filter.add_directive(lines),
            Err(_) => filter,
        }
    }

    pub(super) fn begin(
        self,
        client: SocketAddr,
        method: &Method,
        uri: &Uri,
        version: Version,
    ) -> Option<Line> {
        let path = shown(Target::new(uri).path(), self.path?);
        let query = if uri.query().is_some() { "?***" } else { "" };
        // The client chooses the method, too.
        let method = if KNOWN_METHODS.contains(method) {
            method.as_str()
        } else {
            MASK
        };
        Some(Line {
            client,
            request: format!("{method} {path}{query} {version:?}"),
        })
    }
}

impl Line {
    pub(super) fn end(self, status: StatusCode, now: &ZonedDateTime) {
        tracing::info!(target: "access", "{}", self.text(status, now));
    }

    fn text(&self, status: StatusCode, now: &ZonedDateTime) -> String {
        let (client, time) = (self.client.ip(), now.strftime("%d/%b/%Y %H:%M:%S"));
        format!("{client} - - [{time}] \"{}\" {} -", self.request, status.as_u16())
    }
}

/// Returns the shown parts of a decoded path without its first slash. Repeated slashes are not segments, because a
/// client may be redirected to the path without them.
fn shown(path: &str, allowed: &[Segment]) -> String {
    let mut allowed = allowed.iter();
    let mut fits = true;
    let mut text = String::new();
    for (number, segment) in path.split('/').enumerate() {
        if number == LONGEST {
            text.push('…');
            break;
        }
        text.push('/');
        if segment.is_empty() {
            continue;
        }
        let may_be_shown = match allowed.next() {
            Some(Segment::Word(word)) => *word == segment,
            Some(Segment::If(allows)) => allows(segment),
            Some(Segment::Masked) => {
                text.push_str(MASK);
                continue;
            }
            None => false,
        };
        fits &= may_be_shown;
        text.push_str(if fits { segment } else { MASK });
    }
    text
}

impl FromStr for OnOff {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn neither_a_method_nor_a_long_path_is_shown_unchanged() {
        let access_log = AccessLog::new(true, PATH);
        let client: SocketAddr = "127.0.0.1:5000".parse().unwrap();
        let line = |method: &str, path: &str| {
            let (method, uri) = (method.parse().unwrap(), path.parse().unwrap());
            let line = access_log.begin(client, &method, &uri, Version::HTTP_11);
            line.unwrap().text(StatusCode::NOT_FOUND, &ZonedDateTime::now())
        };
        let text = line("validDriverToken-0001", "/x");
        assert!(text.contains("\"*** /*** HTTP/1.1\""), "{text}");
        for path in ["/a".repeat(20_000), "/".repeat(20_000)] {
            let text = line("GET", &path);
            assert!(text.len() < 200, "{text}");
        }
    }

    const PATH: &[Segment] = &[
        Segment::Word("house"),
        Segment::If(|number| number.parse::<u8>().is_ok()),
        Segment::Word("key"),
        Segment::Masked,
        Segment::Word("door"),
    ];

    fn line(target: &str) -> String {
        let uri: Uri = target.parse().unwrap();
        let client = "[::1]:4711".parse().unwrap();
        let line = AccessLog::new(true, PATH).begin(client, &Method::GET, &uri, Version::HTTP_11);
        let now = "2026-11-30T09:27:05+01:00[+01:00]".parse().unwrap();
        line.unwrap().text(StatusCode::OK, &now)
    }

    fn check(target: &str, shown: &str) {
        let begin = "::1 - - [30/Nov/2026 09:27:05] \"GET ";
        assert_eq!(
            line(target),
            format!("{begin}{shown} HTTP/1.1\" 200 -"),
            "{target}"
        );
    }

    #[test]
    fn a_path_is_shown_as_far_as_it_is_known() {
        check("/house/7/key/s3cret/door", "/house/7/key/***/door");
        check("/house/7/key/s3cret/door?a=b", "/house/7/key/***/door?***");
        check("/house/7/key/s3cret/door?", "/house/7/key/***/door?***");
        check("//house//7/key/s3cret/door", "/house//7/key/***/door");
        check("/%68ouse/7/key%2Fs3cret/door", "/house/7/key/***/door");
        check("/house/7/key/door/door", "/house/7/key/***/door");
        check("http://other/house/7", "/house/7");
        check("/", "/");
    }

    #[test]
    fn everything_else_is_masked() {
        check("/house/7/keys/s3cret/door", "/house/7/***/***/***");
        check("/house/s3cret/key/7/door", "/house/***/***/***/***");
        check("/house/7/key/s3cret/door/s3cret", "/house/7/key/***/door/***");
        check("/house/7/key/a%2Fs3cret/door", "/house/7/key/***/***/***");
        check("/s3cret", "/***");
        check("/%0A%1B[2J\"s3cret/", "/***/");
        check("/house/7%0A", "/house/***");
    }

    #[test]
    fn it_is_off_unless_asked_for() {
        let uri = Uri::from_static("/house");
        let client = "127.0.0.1:1".parse().unwrap();
        for off in [AccessLog::default(), AccessLog::new(false, PATH)] {
            assert!(off.begin(client, &Method::GET, &uri, Version::HTTP_11).is_none());
        }
        let read = |value: &str| {
            let env = Env::from_pairs([("ACCESS_LOG", value)]);
            let mut reader = env.reader();
            let on = read_access_log(&mut reader);
            reader
                .finish()
                .map(|()| on)
                .map_err(|mistakes| mistakes.to_string())
        };
        assert_eq!(
            (read(""), read("off"), read(" ON ")),
            (Ok(false), Ok(false), Ok(true))
        );
        assert!(
            read("yes")
                .unwrap_err()
                .contains("ACCESS_LOG: is \"yes\", expected on or off")
        );
    }

    #[test]
    fn a_quiet_log_has_them_too_unless_it_disables_them() {
        let filter = |on, text: &str| AccessLog::filter(on, Filter::new(text)).to_string();
        assert_eq!(filter(true, "warn"), "access=info,warn");
        assert_eq!(filter(true, "info,access=off"), "access=off,info");
        assert_eq!(filter(false, "warn"), "warn");
    }
}
