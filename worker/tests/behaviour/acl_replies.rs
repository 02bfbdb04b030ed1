//! acl-replies.jsonl: the verdict that follows from each behaviour of the ACL service.

use std::time::Duration;

use celery_protocol::Text;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write as _;

use crate::corpus::{self, Books, python_literal, text};
use crate::peer::{Peer, Step, answer, silent_after};
use crate::stack;

const FILE: &str = "acl-replies.jsonl";
const STATION: &str = "5e3a0000-0000-4000-8000-000000000001";
const TRUE: &str = r#"{"authorized":true}"#;

#[tokio::test]
async fn every_reply_gives_the_verdict_that_was_recorded_or_decided() {
    let rows = corpus::read(FILE);
    let mut books = Books::default();
    for row in &rows {
        let case = text(row, "case");
        let recorded = match text(row, "outcome") {
            "LOST: no callback" => "lost",
            callback => callback.trim_start_matches("callback "),
        };
        if matches!(case, "base-no-scheme" | "base-host-only" | "base-empty") {
            books.not_run(case, "refused at start: config.rs");
            continue;
        }
        if case == "base-dns" {
            books.not_run(
                case,
                "would query a name server; base-refused takes the same path",
            );
            continue;
        }
        let ours = verdict(case, row).await;
        match decided_otherwise(case, recorded) {
            None => books.same(case, recorded, ours),
            Some((reason, expected)) => books.deviates(case, reason, expected, ours),
        }
    }
    books.close(FILE, rows.len());
}

async fn verdict(case: &str, row: &Value) -> &'static str {
    let peer = Peer::choosing({
        let (case, behaviour) = (case.to_owned(), text(row, "acl_behaviour").to_owned());
        move |request| script(&case, &behaviour, request)
    })
    .await;
    let suffix = match case {
        "base-trailing-slash" => "/",
        "base-prefix" => "/v1/../v2",
        "base-query" => "/?k=v",
        _ => "",
    };
    let user = if case == "base-userinfo" { "u:p@" } else { "" };
    let port = if case == "base-refused" {
        harness::free_port()
    } else {
        peer.port()
    };
    let client = stack::acl_client(&format!("http://{user}127.0.0.1:{port}{suffix}"));
    // Cases that wait until the time is up get a shorter time.
    let slow = [
        "slow-beyond-default",
        "drip-body-9.5s",
        "never-answers",
        "base-connect-timeout",
    ]
    .contains(&case);
    let within = if slow {
        Duration::from_millis(500)
    } else {
        Duration::from_secs(30)
    };
    let began = tokio::time::Instant::now();
    let answer = client
        .is_allowed(STATION, &Text::from("validDriverToken-0001"), within)
        .await;
    // The peer continues for half a minute, or for ever.
    assert!(
        !slow || began.elapsed() < Duration::from_secs(20),
        "{case}: the deadline bounds the whole exchange"
    );
    match answer {
        Ok(true) => "allowed",
        Ok(false) => "not_allowed",
        Err(_) => "unknown",
    }
}

/// Returns the reason and the verdict if we decided on a deviation from Python (design: deviations).
fn decided_otherwise(case: &str, recorded: &str) -> Option<(&'static str, &'static str)> {
    if case == "other-key" {
        return Some(("the documented key `allowed` counts as well", "allowed"));
    }
    if recorded == "lost" {
        return Some((
            "no usable answer makes the verdict unknown; Python loses the request",
            "unknown",
        ));
    }
    let unclear = "only true, false, 1 and 0 are answers";
    let not_2xx = "only 2xx is an answer";
    let encoding = "JSON is UTF-8 without a byte order mark";
    Some(match case {
        "drip-body-9.5s" => ("the deadline bounds the whole exchange", "unknown"),
        "authorized-true" | "authorized-false" | "authorized-1" => return None,
        _ if case.starts_with("authorized-") => (unclear, "unknown"),
        _ if case.starts_with("status-20") => return None,
        _ if case.starts_with("status-") => (not_2xx, "unknown"),
        "utf16-no-content-type"
        | "utf16le-no-content-type"
        | "utf8-bom-no-content-type"
        | "utf8-bom-octet-stream" => (encoding, "unknown"),
        _ => return None,
    })
}

fn script(case: &str, behaviour: &str, request: &str) -> Vec<Step> {
    if let Some((status, body)) = behaviour
        .split_once(", body ")
        .filter(|(status, _)| !status.starts_with("HTTP"))
    {
        let body = match case {
            "authorized-bigint" => format!("{{\"authorized\":1{}}}", "0".repeat(400)).into_bytes(),
            "authorized-int-4301-digits" => format!("{{\"authorized\":{}}}", "1".repeat(4301)).into_bytes(),
            "deep-nesting" => nested(2_000),
            "deep-nesting-100k" => nested(100_000),
            "utf16-bom" | "utf16-no-content-type" | "utf16-text-plain" => utf16(),
            "utf32" => utf16()
                .chunks(2)
                .flat_map(|unit| [unit[0], unit[1], 0, 0])
                .collect(),
            _ => python_literal(body),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        return answer([head.into_bytes(), body].concat());
    }
    let ok = |headers: &str, body: &str| answer(format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}"));
    let whole = || ok("Content-Length: 19\r\n", TRUE);
    let redirect = |status: &str, location: &str| {
        let is_first = request.is_empty() || request.contains("/driver/");
        let location = format!("Location: {location}\r\n");
        let head = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n");
        if is_first { answer(head) } else { whole() }
    };
    match case {
        "slow-beyond-default" => {
            let [read, send] = <[Step; 2]>::try_from(whole()).unwrap();
            vec![read, Step::Pause(Duration::from_secs(30)), send]
        }
        "never-answers" | "base-connect-timeout" => silent_after(""),
        "drip-body-9.5s" => {
            let drips = TRUE
                .bytes()
                .flat_map(|byte| [Step::Pause(Duration::from_millis(1500)), Step::Send(vec![byte])]);
            answer("HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n")
                .into_iter()
                .chain(drips)
                .collect()
        }
        "chunked" => ok(
            "Transfer-Encoding: chunked\r\n",
            "13\r\n{\"authorized\":true}\r\n0\r\n\r\n",
        ),
        "gzip" => {
            let body = gzip(TRUE);
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
            answer([head.into_bytes(), body].concat())
        }
        "redirect-302" | "redirect-303" | "redirect-307" | "redirect-308" => {
            redirect(case.trim_start_matches("redirect-"), "/elsewhere")
        }
        "redirect-other-host" => {
            let host = request
                .lines()
                .find_map(|line| line.strip_prefix("Host: "))
                .unwrap_or_default();
            redirect(
                "302",
                &format!("http://{}/elsewhere", host.replace("127.0.0.1", "localhost")),
            )
        }
        "redirect-loop" => answer("HTTP/1.1 302 X\r\nLocation: /driver/\r\nContent-Length: 0\r\n\r\n"),
        "redirect-no-location" => answer("HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n"),
        "redirect-bad-location" => redirect("302", "http://[::1"),
        "redirect-file" => redirect("302", "file:///etc/hostname"),
        "redirect-relative-acl-slash" => {
            let target = request.split(' ').nth(1).unwrap_or_default();
            if target.ends_with('/') {
                whole()
            } else {
                redirect("308", &format!("{target}/"))
            }
        }
        "close-at-once" => answer(""),
        "reset" => vec![Step::Read, Step::Reset],
        "close-in-body" => ok("Content-Length: 30\r\n", TRUE),
        "chunk-broken" => ok("Transfer-Encoding: chunked\r\n", "zz\r\n"),
        "chunk-negative" => ok(
            "Transfer-Encoding: chunked\r\n",
            "-13\r\n{\"authorized\":true}\r\n0\r\n\r\n",
        ),
        "headers-100" => ok(&"X: y\r\n".repeat(101), TRUE),
        "length-too-short" => ok("Content-Length: 5\r\n", TRUE),
        "body-until-close" => answer(format!("HTTP/1.0 200 OK\r\n\r\n{TRUE}")),
        "http09" => answer(TRUE),
        "set-cookie" => ok("Set-Cookie: a=b\r\nContent-Length: 19\r\n", TRUE),
        _ if case.starts_with("base-") => whole(),
        _ => panic!("no script for {case}: {behaviour}"),
    }
}

fn nested(depth: usize) -> Vec<u8> {
    format!(
        "{{\"authorized\":true,\"x\":{}{}}}",
        "[".repeat(depth),
        "]".repeat(depth)
    )
    .into_bytes()
}

fn utf16() -> Vec<u8> {
    "\u{feff}{\"authorized\":true,\"n\":\"é\"}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
