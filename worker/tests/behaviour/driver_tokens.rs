//! driver-tokens.jsonl: which tokens are valid, and that each valid token is one segment of the ACL URL.

use celery_protocol::Text;
use percent_encoding::percent_decode_str;
use worker::driver_token;

use crate::corpus::{self, Books, text};

const FILE: &str = "driver-tokens.jsonl";

#[test]
fn validity_and_the_acl_request() {
    let rows = corpus::read(FILE);
    let mut books = Books::default();
    for row in &rows {
        let token = token(
            text(row, "token"),
            row["lone_surrogate_shown_as_backslash_u"] == true,
        );
        let case = format!("{:.60?}", text(row, "token"));
        let is_valid = driver_token::is_valid(&token);
        if is_valid != row["valid"].as_bool().unwrap() {
            books.same(
                &case,
                format!("valid: {}", row["valid"]),
                format!("valid: {is_valid}"),
            );
            continue;
        }
        if text(row, "acl_request_line").ends_with(" characters)") {
            let reason = "shown shortened; unreserved characters stay as they are";
            let plain = if is_shortened(text(row, "token")) {
                "a".repeat(60_000)
            } else {
                token.to_string()
            };
            books.deviates(
                &case,
                reason,
                &plain,
                driver_token::path_segment(&plain.as_str().into()),
            );
            continue;
        }
        let Some(recorded) = row["acl_request_line"].as_str() else {
            // Python sends no request for an invalid token; neither do we (authorize_semantics.rs).
            books.same(&case, "", if is_valid { "a request" } else { "" });
            continue;
        };
        let segment = driver_token::path_segment(&token);
        let ours = format!("GET /station/<station>/driver/{segment}/acl HTTP/1.1");
        if token.as_wtf8().iter().any(|byte| b"%/?#".contains(byte)) && ours != recorded {
            let is_whole = percent_decode_str(&segment).eq(token.as_wtf8().iter().copied());
            let is_one = segment.is_ascii() && !segment.contains(['/', '?', '#']);
            let reason = "% / ? # do not reach beyond the token's own segment";
            books.deviates(
                &case,
                reason,
                "whole: true, one: true",
                format!("whole: {is_whole}, one: {is_one}"),
            );
        } else {
            books.same(&case, recorded, ours);
        }
    }
    books.close(FILE, rows.len());
}

fn is_shortened(token: &str) -> bool {
    token.ends_with("(60000 characters)")
}

fn token(shown: &str, has_surrogate: bool) -> Text {
    match shown.rsplit_once("\\u").filter(|_| has_surrogate) {
        Some((before, hex)) => {
            let mut token = Text::from(before);
            token.push_code_point(u32::from_str_radix(hex, 16).unwrap());
            token
        }
        None => Text::from(shown),
    }
}
