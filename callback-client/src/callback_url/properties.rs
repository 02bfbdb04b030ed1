//! Properties of judging that hold for every text: it ends, in reasonable time, and without a panic.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{CallbackUrl, Judgement, judge, judge_wtf8, sendable};

/// Generates text that is similar enough to a URL to pass the first checks.
fn near_url() -> impl Strategy<Value = String> {
    let authority = prop_oneof![
        "\\PC{0,12}",
        "([a-z]{1,3}:[^/]{0,4}@)?[a-zé中.-]{1,12}(:[0-9]{1,6})?",
        "\\[[0-9a-f:.]{0,12}(%\\PC{0,4})?\\](:[0-9]{0,3})?",
    ];
    let remainder = prop_oneof![
        ".{0,16}",
        "(/[a-z.%0-9]{0,4}){0,4}(\\?[a-z=%&;]{0,8})?(#[a-z?]{0,4})?"
    ];
    ("https?://", authority, remainder)
        .prop_map(|(scheme, authority, remainder)| scheme + &authority + &remainder)
}

/// Returns whether a URL is fit for the wire.
fn is_well_formed(url: &CallbackUrl) -> bool {
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    url.request_target().starts_with('/')
        && !url.request_target().contains('#')
        && !url.host().is_empty()
        && [url.host(), url.host_header(), url.request_target()]
            .into_iter()
            .all(is_plain)
}

proptest! {
    #[test]
    fn any_text_is_judged(text in any::<String>()) {
        judge(&text);
    }

    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        judge_wtf8(&[b"http://a.bc/?a=", &*bytes].concat());
        judge_wtf8(&bytes);
    }

    #[test]
    fn what_can_be_sent_is_well_formed(text in near_url()) {
        if let Judgement::Sendable(url) = judge(&text) {
            prop_assert!(is_well_formed(&url), "{} {}", url.host_header(), url.request_target());
        }
    }

    #[test]
    fn any_redirect_is_resolved(
        location in prop_oneof![near_url().prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..64)],
    ) {
        if let Ok(url) = sendable("http://u:p@a.bc:81/x/y;z?q=1#f").redirect(&location) {
            prop_assert!(is_well_formed(&url), "{} {}", url.host_header(), url.request_target());
        }
    }
}

/// Time limit for a text of a million characters: a hundred times the time of a debug build, but far less than
/// quadratic code would need.
const BOUND: Duration = Duration::from_secs(20);

#[test]
fn long_text_takes_time_linear_in_its_length() {
    const MILLION: usize = 1_000_000;
    let long = |start: &str, repeated: &str, end: &str| {
        format!("{start}{}{end}", repeated.repeat(MILLION / repeated.len()))
    };
    for url in [
        long("", "http://", ""),
        long("http:", "/", ""),
        long("http://", "a.", "bc/"),
        long("http://", "é", ".bc/"),
        long("http://", "é.", "bc/"),
        long("http://", "e\u{301}\u{323}", ".bc/"),
        long("http://[fe80::1%", "a", "]/"),
        long("http://", "[", "]/"),
        long("http://a.bc:", "1", "/"),
        long("http://u:", "p", "@a.bc/"),
        long("http://", "u:%41", "@a.bc/"),
        long("http://", "a.", "@a.bc/"),
        long("http://", "@", "a.bc/"),
        long("http://a.bc", "/..", ""),
        long("http://a.bc", "/x", ""),
        long("http://a.bc/", "%41%", ""),
        long("http://a.bc/?", "a=1&", "b=2"),
        long("http://a.bc/?", "a=1;", "b=2"),
        long("http://a.bc/#", "#", ""),
    ] {
        let started = Instant::now();
        if let Judgement::Sendable(judged) = judge(&url) {
            judged.redirect(url.as_bytes()).unwrap();
        }
        let took = started.elapsed();
        assert!(took < BOUND, "{took:?} for {}…", &url[..20]);
    }
}
