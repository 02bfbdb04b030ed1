//! Defaults, mistakes, and secrets that a mistake must not show.

use super::*;

const HOST: Variable = Variable {
    name: "HOST",
    default: Some("localhost"),
    meaning: "where it is",
};
const PORT: Variable = Variable {
    name: "PORT",
    default: Some("80"),
    meaning: "its port",
};
const TOKEN: Variable = Variable {
    name: "TOKEN",
    default: None,
    meaning: "a secret",
};

#[test]
fn unset_and_empty_mean_the_default() {
    let env = Env::from_pairs([("HOST", "")]);
    let mut reader = env.reader();
    assert_eq!(reader.text(&HOST), "localhost");
    assert_eq!(reader.parse::<u16>(&PORT, "a port"), 80);
    assert_eq!(reader.optional(&TOKEN), None);
    assert!(reader.is_set(&HOST) && !reader.is_set(&PORT));
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn values_are_read_and_trimmed_for_parsing() {
    let env = Env::from_pairs([("HOST", "db"), ("PORT", " 81 ")]);
    let mut reader = env.reader();
    assert_eq!(reader.text(&HOST), "db");
    assert_eq!(reader.parse::<u16>(&PORT, "a port"), 81);
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn every_mistake_is_listed() {
    let env = Env::from_pairs([("PORT", "http")]);
    let mut reader = env.reader();
    reader.parse::<u16>(&PORT, "a port from 0 to 65535");
    reader.text(&TOKEN);
    reader.mistake(&HOST, "is not reachable from here");
    assert_eq!(
        reader.finish().unwrap_err().to_string(),
        "the environment has mistakes:\n  \
         PORT: is \"http\", expected a port from 0 to 65535\n  \
         TOKEN: must be set\n  \
         HOST: is not reachable from here"
    );
}

#[test]
fn a_value_that_may_hold_a_password_is_not_quoted() {
    for secret in [
        "amqp://guest:hunter2@rabbit//",
        "guest:hunter2@rabbit",
        "redis://:hunter2",
    ] {
        let env = Env::from_pairs([("PORT", secret)]);
        let mut reader = env.reader();
        reader.parse::<u16>(&PORT, "a port");
        let mistakes = reader.finish().unwrap_err().to_string();
        assert!(
            mistakes.contains("PORT: expected a port") && !mistakes.contains("hunter2"),
            "{mistakes}"
        );
    }
}

#[test]
fn a_url_is_not_a_host() {
    for wrong in ["redis://:hunter2@redis", "me:hunter2@redis", "redis/0"] {
        let env = Env::from_pairs([("HOST", wrong)]);
        let mut reader = env.reader();
        reader.host(&HOST);
        let mistakes = reader.finish().unwrap_err().to_string();
        assert!(
            mistakes.contains("HOST: is a URL") && !mistakes.contains("hunter2"),
            "{mistakes}"
        );
    }
    for right in ["redis", "10.0.0.1", "fd00::1"] {
        let env = Env::from_pairs([("HOST", right)]);
        let mut reader = env.reader();
        assert_eq!(reader.host(&HOST).as_deref(), Some(right));
        assert_eq!(reader.finish(), Ok(()));
    }
}

#[test]
fn an_error_may_explain_itself() {
    let env = Env::from_pairs([("PORT", "x")]);
    let mut reader = env.reader();
    assert_eq!(reader.parse_explained::<u16>(&PORT), 80);
    assert_eq!(
        reader.finish().unwrap_err().to_string(),
        "the environment has mistakes:\n  PORT: invalid digit found in string"
    );
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_text_is_one_mistake() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut env = Env::default();
    env.values.insert("TOKEN".into(), OsString::from_vec(vec![0xff]));
    let mut reader = env.reader();
    reader.text(&TOKEN);
    assert_eq!(
        reader.finish().unwrap_err().to_string(),
        "the environment has mistakes:\n  TOKEN: is not valid UTF-8"
    );
}

#[test]
fn help_shows_name_meaning_and_default() {
    assert_eq!(
        help(&[HOST, TOKEN]),
        "Environment:\n  HOST   where it is [default: localhost]\n  TOKEN  a secret"
    );
}
