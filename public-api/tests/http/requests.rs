//! Recorded requests in full: the recording contains long ones in shortened form.

use harness::recorded::{self, STATION};

/// Returns the bytes of a recorded request.
pub(crate) fn complete(case: &str, request: &str) -> Vec<u8> {
    let Some((start, length)) = shortened(request) else {
        return recorded::bytes(request);
    };
    let full = match case {
        "token-5000" => get(&"a".repeat(5_000), "http://cb.example.com/x", ""),
        "token-60000" => get(&"a".repeat(60_000), "http://cb.example.com/x", ""),
        "query-8k" => long_url(8_000),
        "query-60k" => long_url(60_000),
        "query-65500-line" => long_url(65_366),
        "query-65536-line" => long_url(65_400),
        "query-65537-line" => long_url(65_401),
        "query-100k" => long_url(100_000),
        "body-json-1MB" => post(&format!(
            "{{\"callback_url\":\"http://a.example/{}\"}}",
            "p".repeat(1_000_000)
        )),
        "body-json-deep" => post(&nested(5_000)),
        "body-json-deep-100k" => post(&nested(100_000)),
        "body-json-bigint" => post(&with_x(&"1".repeat(5_000))),
        "proto-header-66k" => get_with(&format!("X-A: {}\r\n", "a".repeat(66_000))),
        "proto-headers-150" => {
            let headers: Vec<String> = (0..150).map(|number| format!("X-{number}: y\r\n")).collect();
            get_with(&headers.concat())
        }
        _ => panic!("{case} was recorded in shortened form"),
    };
    assert!(
        full.starts_with(start),
        "{case}: {start} is not the start of {}",
        &full[..start.len() + 20]
    );
    assert_eq!(full.len(), length, "{case}");
    full.into_bytes()
}

fn shortened(request: &str) -> Option<(&str, usize)> {
    let (start, length) = request.strip_suffix(" bytes)")?.rsplit_once("...(")?;
    Some((start, length.parse().ok()?))
}

fn get(token: &str, url: &str, headers: &str) -> String {
    format!(
        "GET /station/{STATION}/driver/{token}/authorize?callback_url={url} HTTP/1.1\r\n\
         Host: 127.0.0.1\r\n{headers}Connection: close\r\n\r\n"
    )
}

fn get_with(headers: &str) -> String {
    get("validDriverToken-0001", "http://cb.example.com/x", headers)
}

fn long_url(length: usize) -> String {
    get(
        "validDriverToken-0001",
        &format!("http://cb.example.com/x{}", "p".repeat(length)),
        "",
    )
}

fn nested(depth: usize) -> String {
    with_x(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
}

fn with_x(value: &str) -> String {
    format!("{{\"callback_url\":\"http://a.example/\",\"x\":{value}}}")
}

fn post(body: &str) -> String {
    format!(
        "POST /station/{STATION}/driver/validDriverToken-0001/authorize HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
