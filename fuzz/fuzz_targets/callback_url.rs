//! Judges any callback URL and resolves any `Location` without a panic; the results must be safe for the wire. The
//! first line is the URL, each further line a `Location`.

#![no_main]

use callback_client::callback_url::{CallbackUrl, Judgement, judge, judge_wtf8};
use libfuzzer_sys::fuzz_target;

/// The maximum number of hops of a callback.
const MAX_REDIRECTS: usize = 30;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let url = lines.next().unwrap_or_default();
    let judgement = judge_wtf8(url);
    if let Ok(text) = str::from_utf8(url) {
        assert_eq!(judge(text), judgement);
    }
    match judgement {
        Judgement::Sendable(url) => {
            check(&url);
            follow(url, lines);
        }
        Judgement::Invalid | Judgement::Unsendable { .. } => {
            let Judgement::Sendable(from) = judge("http://u:p@a.bc:81/x/y;z?q=1#f") else {
                unreachable!("that URL is fine");
            };
            follow(from, bytes.split(|&byte| byte == b'\n'));
        }
    }
});

fn follow<'l>(mut url: CallbackUrl, locations: impl Iterator<Item = &'l [u8]>) {
    for location in locations
        .filter(|location| !location.is_empty())
        .take(MAX_REDIRECTS)
    {
        match url.redirect(location) {
            Ok(next) => url = next,
            Err(error) => return drop(error.to_string()),
        }
        check(&url);
        assert_eq!(url.authorization(), None);
    }
}

/// Checks that no part of the URL can end the request line or a header.
fn check(url: &CallbackUrl) {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(matches!(url.scheme(), "http" | "https"));
    assert!(!url.host().is_empty() && is_plain(url.host()), "{}", url.host());
    assert!(is_plain(url.host_header()), "{}", url.host_header());
    assert!(url.request_target().starts_with('/') && is_plain(url.request_target()));
    assert!(!url.request_target().contains('#'), "{}", url.request_target());
    if let Some(authorization) = url.authorization() {
        assert!(authorization.strip_prefix("Basic ").is_some_and(is_plain));
    }
}
