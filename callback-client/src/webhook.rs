//! The headers by which a receiver identifies a callback and verifies its sender (Standard Webhooks, ADR 40).

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::{digest, hmac};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Maximum length in bytes of an id that is sent as it is.
const ID_LIMIT: usize = 255;

/// The size of a secret in bytes, according to Standard Webhooks.
const SECRET_SIZES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secrets that sign callbacks: at least one, or several while receivers change from one to the next.
#[derive(Clone)]
pub struct SigningSecrets(Vec<hmac::Key>);

/// The reason why secrets cannot be parsed. It gives the number of the secret, never its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no secret.
    #[error("contains no secret; expected whsec_ and base64 of {} to {} random bytes", SECRET_SIZES.start(), SECRET_SIZES.end())]
    Missing,
    /// A secret does not begin with `whsec_`.
    #[error("secret {number} does not begin with whsec_")]
    Prefix {
        /// The number of the secret, counted from 1.
        number: usize,
    },
    /// The text after `whsec_` is not base64.
    #[error("secret {number} is not valid base64 after whsec_")]
    Base64 {
        /// The number of the secret, counted from 1.
        number: usize,
    },
    /// A secret has too few or too many bytes.
    #[error("secret {number} has {size} bytes; expected {} to {}", SECRET_SIZES.start(), SECRET_SIZES.end())]
    Size {
        /// The number of the secret, counted from 1.
        number: usize,
        /// Its size in bytes.
        size: usize,
    },
}

impl FromStr for SigningSecrets {
    type Err = SecretError;

    /// Parses `whsec_<base64>`, or several of them, separated by spaces or commas.
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let secrets = text
            .split([' ', ','])
            .filter(|secret| !secret.is_empty())
            .zip(1..)
            .map(|(secret, number)| parse_secret(secret, number))
            .collect::<Result<Vec<_>, _>>()?;
        if secrets.is_empty() {
            return Err(SecretError::Missing);
        }
        Ok(Self(secrets))
    }
}

fn parse_secret(text: &str, number: usize) -> Result<hmac::Key, SecretError> {
    let text = text
        .strip_prefix("whsec_")
        .ok_or(SecretError::Prefix { number })?;
    let secret = STANDARD
        .decode(text)
        // The decoder's error would show a byte of the secret.
        .map_err(|_| SecretError::Base64 { number })?;
    let size = secret.len();
    if !SECRET_SIZES.contains(&size) {
        return Err(SecretError::Size { number, size });
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
}

impl fmt::Debug for SigningSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecrets({} not shown)", self.0.len())
    }
}

impl SigningSecrets {
    /// Returns the value of `webhook-signature`.
    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let signatures: Vec<String> = self
            .0
            .iter()
            .map(|key| {
                let signature = hmac::sign(key, signed.as_bytes());
                format!("v1,{}", STANDARD.encode(signature))
            })
            .collect();
        signatures.join(" ")
    }
}

/// Returns the headers of the callback `id` with `body`, sent at `now`; without `secrets`, only the id.
pub(crate) fn headers(
    id: &str,
    body: &str,
    now: Timestamp,
    secrets: Option<&SigningSecrets>,
) -> Vec<(HeaderName, HeaderValue)> {
    let id = webhook_id(id);
    let mut texts = vec![(ID, id.clone())];
    if let Some(secrets) = secrets {
        let timestamp = now.as_second();
        texts.push((TIMESTAMP, timestamp.to_string()));
        texts.push((SIGNATURE, secrets.sign(&id, timestamp, body)));
    }
    texts
        .into_iter()
        // All texts are visible ASCII and single spaces, so no header is left out.
        .filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?)))
        .collect()
}

/// Returns the id itself if it is short and visible ASCII without `.`, like Celery's task ids; else `sha256-` and its
/// SHA-256 in hexadecimal digits. The digest is as unique and constant as the id, but valid in a header, and it marks
/// clearly where the id ends in the signed text.
fn webhook_id(id: &str) -> String {
    let fits =
        (1..=ID_LIMIT).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
    if fits {
        return id.to_owned();
    }
    let mut digits = String::from("sha256-");
    for byte in digest::digest(&digest::SHA256, id.as_bytes()).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

    #[test]
    fn usual_task_ids_are_sent_as_they_are() {
        for id in [
            "3b9d0f4e-8f0b-4a47-9d0f-3f1b1d1f9c11",
            "a-b:c/d",
            &"x".repeat(255),
        ] {
            assert_eq!(webhook_id(id), id);
        }
    }

    #[test]
    fn other_task_ids_are_sent_as_their_digest() {
        for id in [
            "",
            "a b",
            "a.b",
            "a\r\nX-Injected: 1",
            "\u{0}",
            "\u{7f}",
            "é",
            &"x".repeat(256),
        ] {
            let sent = webhook_id(id);
            assert!(sent.starts_with("sha256-") && sent.len() == 71, "{id:?}: {sent}");
        }
        // printf 'a b' | sha256sum
        assert_eq!(
            webhook_id("a b"),
            "sha256-c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65"
        );
    }

    #[test]
    fn secrets_have_24_to_64_bytes() {
        let parsed = |size| {
            let secret = STANDARD.encode(vec![7; size]);
            format!("whsec_{secret}").parse::<SigningSecrets>().map(drop)
        };
        for size in [23, 65] {
            assert_eq!(parsed(size), Err(SecretError::Size { number: 1, size }));
        }
        assert_eq!((parsed(24), parsed(64)), (Ok(()), Ok(())));
    }

    #[test]
    fn mistakes_do_not_show_the_secret() {
        let error = |text: &str| text.parse::<SigningSecrets>().unwrap_err();
        assert_eq!(error(" , "), SecretError::Missing);
        assert_eq!(error("MDEyMzQ1Njc4OWFi"), SecretError::Prefix { number: 1 });
        assert_eq!(
            error(&format!("{SECRET} whsec_?")),
            SecretError::Base64 { number: 2 }
        );
        assert_eq!(error("whsec_MDEy"), SecretError::Size { number: 1, size: 3 });
        for text in [
            "MDEyMzQ1Njc4OWFi",
            "whsec_MDEyMzQ1Njc4OWFi",
            "whsec_MDEyMzQ1Njc4OWFi?",
        ] {
            let shown = format!("{0} {0:?}", error(text));
            assert!(!shown.contains("MDEyMzQ1"), "{shown}");
        }
        let shown = format!("{:?}", SECRET.parse::<SigningSecrets>().unwrap());
        assert_eq!(shown, "SigningSecrets(1 not shown)");
    }
}
