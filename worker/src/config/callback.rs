//! The configuration of callbacks.

use std::time::Duration;

use callback_client::CallbackConfig;
use callback_client::webhook::{SecretError, SigningSecrets};
use service_kit::env::{Reader, Variable};

pub(super) const CALLBACK_TIMEOUT_SEC: Variable = Variable {
    name: "CALLBACK_TIMEOUT_SEC",
    default: Some("5"),
    meaning: "limit for a callback in whole seconds, redirects included",
};
pub(super) const CALLBACK_NETWORKS: Variable = Variable {
    name: "CALLBACK_NETWORKS",
    default: Some("any"),
    meaning: "allowed targets of callbacks: any, public, or networks such as 10.0.0.0/8,192.0.2.7",
};
pub(super) const CALLBACK_SIGNING_SECRET: Variable = Variable {
    name: "CALLBACK_SIGNING_SECRET",
    default: None,
    meaning: "whsec_<base64>, signs callbacks; several secrets, separated by spaces, give one signature each",
};

pub(super) fn read(reader: &mut Reader<'_>) -> CallbackConfig {
    CallbackConfig {
        timeout: read_timeout(reader),
        targets: reader.parse_explained(&CALLBACK_NETWORKS),
        signing: read_signing_secrets(reader),
    }
}

fn read_timeout(reader: &mut Reader<'_>) -> Duration {
    let expected = "a whole number of seconds, at least 1";
    let seconds: u32 = reader.parse(&CALLBACK_TIMEOUT_SEC, expected);
    if seconds == 0 {
        reader.mistake(&CALLBACK_TIMEOUT_SEC, format!("is 0; expected {expected}"));
    }
    Duration::from_secs(seconds.into())
}

fn read_signing_secrets(reader: &mut Reader<'_>) -> Option<SigningSecrets> {
    match reader.optional(&CALLBACK_SIGNING_SECRET)?.trim().parse() {
        Ok(secrets) => Some(secrets),
        Err(why) => {
            reader.mistake(&CALLBACK_SIGNING_SECRET, SecretError::to_string(&why));
            None
        }
    }
}
