//! The scripts of the recording's servers.

use std::fmt::Write as _;
use std::time::Duration;

use super::replay::Replay;
use crate::peer::{Step, answer, silent_after};

/// A valid answer.
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Returns the replay of a server that does not speak HTTP properly, or does not exist.
pub(super) fn connection(case: &str) -> Option<Replay> {
    use Step::{DropUnread, Hang, Pause, Read, Reset, Send};
    let second = || Pause(Duration::from_millis(300));
    let send = |text: &str| Send(text.as_bytes().to_vec());
    Some(Replay::Script(match case {
        "connect-timeout" => return Some(Replay::Full),
        "refused" | "refused-https" | "proxy-down" => return Some(Replay::Refused),
        "proxy-https" => return Some(Replay::Proxy(answer("HTTP/1.1 502 no\r\n\r\n"))),
        "proxy-http" | "proxy-http-userinfo" | "proxy-lowercase-env" | "proxy-all-proxy" => {
            return Some(Replay::Proxy(answer(OK)));
        }
        "read-timeout" => silent_after(""),
        "read-timeout-in-status-line" => silent_after("HTTP/1.1 20"),
        "read-timeout-in-headers" => silent_after("HTTP/1.1 200 OK\r\nContent-"),
        "read-timeout-in-body" => silent_after("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        "read-timeout-in-chunk" => {
            silent_after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        }
        "read-timeout-silent-port" | "tls-on-plain-port" | "tls-handshake-timeout" => vec![Hang],
        "slow-body-16s" => {
            let drips = (0..8).flat_map(|_| [second(), send("x")]);
            [Read, send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")]
                .into_iter()
                .chain(drips)
                .collect()
        }
        "slow-headers-18s" => {
            let drips = (0..6).flat_map(|n| [second(), send(&format!("X-{n}: y\r\n"))]);
            [Read, send("HTTP/1.1 200 OK\r\n")]
                .into_iter()
                .chain(drips)
                .chain([send("\r\n")])
                .collect()
        }
        "empty-close" | "redis-port" => answer(""),
        "rst" => vec![Read, Reset],
        "rst-after-headers" => {
            vec![
                Read,
                send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
                Pause(Duration::from_millis(500)),
                Reset,
            ]
        }
        "accept-close" => vec![DropUnread],
        "accept-rst" | "tls-accept-rst" => vec![Reset],
        "tls-accept-close" => vec![Pause(Duration::ZERO)],
        "ssh-banner" | "tls-ssh-banner" => vec![send("SSH-2.0-OpenSSH_9.2\r\n"), Hang],
        "smtp-banner" => vec![send("220 mail ESMTP\r\n"), Hang],
        "tls-on-http-server" => vec![send("HTTP/1.1 400 Bad Request\r\n\r\n"), Hang],
        "body-200MB" => {
            let part = Send(vec![b'x'; 1 << 20]);
            [Read, send("HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n")]
                .into_iter()
                .chain((0..200).map(|_| part.clone()))
                .collect()
        }
        "gzip-bomb-300MB" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 305779\r\n\r\n\x1f";
            vec![Read, send(head), Send(vec![0x8b; 305_778])]
        }
        _ => return None,
    }))
}

/// Returns the answer of a redirect that depends on the request target.
pub(super) fn by_target(target: &str) -> String {
    let redirect = |status: &str, location: &str| {
        format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
    };
    let (name, rest) = target
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((target.trim_start_matches('/'), ""));
    if let Some(left) = rest
        .parse::<u32>()
        .ok()
        .filter(|_| matches!(name, "chain" | "slowchain"))
    {
        return if left == 0 {
            OK.to_owned()
        } else {
            redirect("307", &format!("/{name}/{}", left - 1))
        };
    }
    if let Some(status) = name
        .strip_prefix("redirect-")
        .and_then(|name| name.strip_suffix("-200"))
    {
        return redirect(status, "/final-200");
    }
    match name {
        "redirect-302-404" => redirect("302", "/status-404"),
        "status-404" => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "redirect-loop" => redirect("302", "/redirect-loop"),
        "redirect-mixed-302-307" => redirect("302", "/mixed2"),
        "mixed2" => redirect("307", "/final-200"),
        "redirect-loc-missing" => "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "redirect-loc-twice" => {
            "HTTP/1.1 302 Found\r\nLocation: /final-200\r\nLocation: /status-404\r\nContent-Length: 0\r\n\r\n"
                .to_owned()
        }
        "redirect-body-drip" => {
            "HTTP/1.1 302 Found\r\nLocation: /final-200\r\nContent-Length: 1000\r\n\r\nx".to_owned()
        }
        _ => OK.to_owned(),
    }
}

/// Returns the bytes that the server sends after it has read the request and before it closes.
pub(super) fn head(case: &str) -> Option<Vec<u8>> {
    status_line(case)
        .or_else(|| header(case))
        .or_else(|| framing(case))
        .or_else(|| garbage(case))
}

fn ok(headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}").into_bytes()
}

fn status_line(case: &str) -> Option<Vec<u8>> {
    let status = |line: &str| format!("{line}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    if let Some(code) = case
        .strip_prefix("status-")
        .filter(|code| code.len() == 3 && !code.contains(['a', '-']))
    {
        return Some(status(&format!(
            "HTTP/1.1 {code} {}",
            if code == "000" { "Zero" } else { "X" }
        )));
    }
    Some(match case {
        "status-200-no-reason" => status("HTTP/1.1 200"),
        "status-200-http10" => b"HTTP/1.0 200 OK\r\n\r\nbody".to_vec(),
        "status-200-http12" => status("HTTP/1.2 200 OK"),
        "status-200-http2-version" => status("HTTP/2.0 200 OK"),
        "status-99" => status("HTTP/1.1 99 X"),
        "status-1000" => status("HTTP/1.1 1000 X"),
        "status-abc" => status("HTTP/1.1 abc X"),
        "status-negative" => status("HTTP/1.1 -200 X"),
        "100-then-200" => [
            b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
            ok("Content-Length: 0\r\n", ""),
        ]
        .concat(),
        "103-then-200" => [
            b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec(),
            ok("Content-Length: 0\r\n", ""),
        ]
        .concat(),
        "101-switching" => {
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n".to_vec()
        }
        "digest-401" => status("HTTP/1.1 401 X\r\nWWW-Authenticate: Digest realm=x, nonce=y"),
        "leading-blank" => [b"\r\n".to_vec(), ok("Content-Length: 0\r\n", "")].concat(),
        "icy" => status("ICY 200 OK"),
        "http-lower" => status("http/1.1 200 OK"),
        "lf-only" => b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok".to_vec(),
        "204-with-body" => b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        _ => return None,
    })
}

fn header(case: &str) -> Option<Vec<u8>> {
    let header = |line: &str| ok(&format!("{line}\r\nContent-Length: 2\r\n"), "ok");
    if let Some(count) = case.strip_prefix("headers-") {
        let count: usize = count.parse().unwrap();
        let mut lines = String::from("Content-Length: 0\r\n");
        for n in 2..=count {
            write!(lines, "X-{n}: y\r\n").unwrap();
        }
        return Some(ok(&lines, ""));
    }
    if let Some(encoding) = encoding(case) {
        return Some(header(&format!("Content-Encoding: {encoding}")));
    }
    Some(match case {
        "header-long" => header(&format!("X: {}", "y".repeat(66_000))),
        "header-65000" => header(&format!("X: {}", "y".repeat(65_000))),
        "header-no-colon" => header("no colon here"),
        "header-empty-name" => header(": y"),
        "header-space-name" => header("X Y: z"),
        "header-folded" => header("X: a\r\n b"),
        "header-leading-fold" => header(" folded"),
        "header-latin1" => b"HTTP/1.1 200 OK\r\nX: \xe9\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        "header-nul" => header("X: a\0b"),
        "header-cr" => header("X: a\rb"),
        _ => return None,
    })
}

/// Returns the announced content encoding; the body is `ok` in any case.
fn encoding(case: &str) -> Option<&'static str> {
    Some(match case {
        "gzip-good" | "gzip-bad" | "gzip-truncated" => "gzip",
        "deflate-bad" => "deflate",
        "br-announced" => "br",
        "zstd-announced" => "zstd",
        "encoding-unknown" => "foo",
        "gzip-8-layers" => "gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip",
        _ => return None,
    })
}

fn framing(case: &str) -> Option<Vec<u8>> {
    let chunked = |body: &str| ok("Transfer-Encoding: chunked\r\n", body);
    Some(match case {
        "close-in-status" => b"HTTP/1.1 200".to_vec(),
        "close-in-headers" => b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(),
        "close-after-headers" => ok("Content-Length: 5\r\n", ""),
        "close-in-body" => ok("Content-Length: 5\r\n", "ab"),
        "close-in-body-500" => b"HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\nab".to_vec(),
        "body-until-close" => ok("", "body"),
        "chunk-bad-size" => chunked("zz\r\nab\r\n0\r\n\r\n"),
        "chunk-negative" => chunked("-5\r\nab\r\n0\r\n\r\n"),
        "chunk-close" => chunked("5\r\nab"),
        "chunk-no-end" => chunked("2\r\nab\r\n"),
        "chunk-empty" => chunked(""),
        "chunk-ext-trailer" => chunked("2;x=y\r\nab\r\n0\r\nX-T: 1\r\n\r\n"),
        "chunk-and-length" => ok(
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "2\r\nab\r\n0\r\n\r\n",
        ),
        "te-unknown" => ok("Transfer-Encoding: foo\r\nContent-Length: 2\r\n", "ok"),
        "length-abc" => ok("Content-Length: abc\r\n", "ok"),
        "length-negative" => ok("Content-Length: -1\r\n", "ok"),
        "length-twice-same" => ok("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
        "length-twice-differ" => ok("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"),
        "length-list" => ok("Content-Length: 3, 3\r\n", "abc"),
        "length-huge" => ok("Content-Length: 99999999999999999999\r\n", "abc"),
        "length-too-short" => ok("Content-Length: 2\r\n", "abcdef"),
        _ => return None,
    })
}

fn garbage(case: &str) -> Option<Vec<u8>> {
    Some(match case {
        "garbage-line" => b"\x00\x01\x02garbage\r\n".to_vec(),
        "garbage-text" => b"hello world\r\n".to_vec(),
        "garbage-html" => b"<html><body>hi</body></html>".to_vec(),
        "garbage-nonl" => b"zzzz".to_vec(),
        "garbage-long-line" => vec![b'a'; 70_000],
        "garbage-h2-preface" => [b"\x00\x00\x12\x04".to_vec(), vec![0; 23]].concat(),
        "garbage-tls-alert" => b"\x15\x03\x01\x00\x02\x02F".to_vec(),
        _ => return None,
    })
}
