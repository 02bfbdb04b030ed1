//! The environment variables of the public API.

use std::time::Duration;

use celery_runtime::BrokerUrl;
use service_kit::admin::{self, ADMIN_ADDRESS};
use service_kit::env::{BadEnvironment, Env, Variable};
use service_kit::http::{self, ACCESS_LOG, AccessLog, ListenAddress};
use service_kit::telemetry::{self, Filter, RUST_LOG};

const BROKER_URL: Variable = Variable {
    name: "BROKER_URL",
    default: Some("amqp://guest:guest@localhost:5672//"),
    meaning: "RabbitMQ, where accepted requests are queued",
};
const AUTHORIZATION_TIMEOUT_SEC: Variable = Variable {
    name: "AUTHORIZATION_TIMEOUT_SEC",
    default: Some("5"),
    meaning: "whole seconds after which an accepted request is called back with status unknown",
};
const FLASK_RUN_HOST: Variable = Variable {
    name: "FLASK_RUN_HOST",
    default: Some("127.0.0.1"),
    meaning: "address to listen on",
};
const FLASK_RUN_PORT: Variable = Variable {
    name: "FLASK_RUN_PORT",
    default: Some("8080"),
    meaning: "port to listen on",
};

/// Every variable that the public API reads.
pub const VARIABLES: &[Variable] = &[
    FLASK_RUN_HOST,
    FLASK_RUN_PORT,
    BROKER_URL,
    AUTHORIZATION_TIMEOUT_SEC,
    ADMIN_ADDRESS,
    ACCESS_LOG,
    RUST_LOG,
];

/// The configuration of the public API.
#[derive(Debug)]
pub struct Config {
    /// The address to listen on.
    pub listen: ListenAddress,
    /// The broker.
    pub broker: BrokerUrl,
    /// How long after its acceptance a request may still be answered with a verdict.
    pub authorization_timeout: Duration,
    /// The address that serves health, if any.
    pub admin: Option<ListenAddress>,
    /// Whether each request is logged.
    pub access_log: bool,
    /// The log filter.
    pub log: Filter,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// If there are mistakes; the error lists all of them.
    pub fn read(env: &Env) -> Result<Self, BadEnvironment> {
        let mut reader = env.reader();
        let host = reader.text(&FLASK_RUN_HOST);
        let timeout: u32 = reader.parse(&AUTHORIZATION_TIMEOUT_SEC, "a whole number of seconds");
        let access_log = http::read_access_log(&mut reader);
        let config = Self {
            listen: ListenAddress::new(&host, reader.parse(&FLASK_RUN_PORT, "a port from 0 to 65535")),
            broker: reader.parse_explained(&BROKER_URL),
            authorization_timeout: Duration::from_secs(timeout.into()),
            admin: admin::read_address(&mut reader),
            access_log,
            log: AccessLog::filter(access_log, telemetry::read_filter(&mut reader)),
        };
        reader.finish()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_means_the_defaults() {
        let config = Config::read(&Env::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.broker.to_string(), "amqp://guest:**@localhost:5672//");
        assert_eq!(config.authorization_timeout, Duration::from_secs(5));
    }

    #[test]
    fn every_mistake_is_listed_and_no_password() {
        let env = Env::from_pairs([
            ("BROKER_URL", "redis://:hunter2@redis"),
            ("AUTHORIZATION_TIMEOUT_SEC", "5.5"),
            ("FLASK_RUN_PORT", "api"),
            ("ADMIN_ADDRESS", "9100"),
        ]);
        let mistakes = Config::read(&env).unwrap_err().to_string();
        for name in [
            "BROKER_URL",
            "AUTHORIZATION_TIMEOUT_SEC",
            "FLASK_RUN_PORT",
            "ADMIN_ADDRESS",
        ] {
            assert!(mistakes.contains(name), "{mistakes}");
        }
        assert!(!mistakes.contains("hunter2"), "{mistakes}");
    }
}
