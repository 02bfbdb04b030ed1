//! The environment variables of the ACL service.

use service_kit::admin::{self, ADMIN_ADDRESS};
use service_kit::env::{BadEnvironment, Env, Variable};
use service_kit::http::{self, ACCESS_LOG, AccessLog, ListenAddress};
use service_kit::telemetry::{self, Filter, RUST_LOG};

const FLASK_RUN_HOST: Variable = Variable {
    name: "FLASK_RUN_HOST",
    default: Some("127.0.0.1"),
    meaning: "address to listen on",
};
const FLASK_RUN_PORT: Variable = Variable {
    name: "FLASK_RUN_PORT",
    default: None,
    meaning: "port to listen on; if unset, AUTHORIZATION_SERVICE_PORT",
};
const AUTHORIZATION_SERVICE_PORT: Variable = Variable {
    name: "AUTHORIZATION_SERVICE_PORT",
    default: Some("5000"),
    meaning: "port to listen on if FLASK_RUN_PORT is unset",
};
const REDIS_HOST: Variable = Variable {
    name: "REDIS_HOST",
    default: Some("localhost"),
    meaning: "host of the Redis server that stores the permissions",
};
const REDIS_PORT: Variable = Variable {
    name: "REDIS_PORT",
    default: Some("6379"),
    meaning: "port of REDIS_HOST",
};

/// Every variable that the ACL service reads.
pub const VARIABLES: &[Variable] = &[
    FLASK_RUN_HOST,
    FLASK_RUN_PORT,
    AUTHORIZATION_SERVICE_PORT,
    REDIS_HOST,
    REDIS_PORT,
    ADMIN_ADDRESS,
    ACCESS_LOG,
    RUST_LOG,
];

/// The configuration of the ACL service.
#[derive(Debug)]
pub struct Config {
    /// The address to listen on.
    pub listen: ListenAddress,
    /// Redis's host.
    pub redis_host: String,
    /// Redis's port.
    pub redis_port: u16,
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
        const PORT: &str = "a port from 0 to 65535";
        let mut reader = env.reader();
        let host = reader.text(&FLASK_RUN_HOST);
        let port = reader.parse_optional(&FLASK_RUN_PORT, PORT);
        let default_port = reader.parse(&AUTHORIZATION_SERVICE_PORT, PORT);
        let access_log = http::read_access_log(&mut reader);
        let config = Self {
            listen: ListenAddress::new(&host, port.unwrap_or(default_port)),
            redis_host: reader
                .host(&REDIS_HOST)
                .unwrap_or_else(|| reader.text(&REDIS_HOST)),
            redis_port: reader.parse(&REDIS_PORT, PORT),
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
        assert_eq!(config.listen.to_string(), "127.0.0.1:5000");
        assert_eq!(
            (config.redis_host.as_str(), config.redis_port),
            ("localhost", 6379)
        );
        assert_eq!(config.admin, None);
    }

    #[test]
    fn flask_run_port_beats_authorization_service_port() {
        let one = Env::from_pairs([("AUTHORIZATION_SERVICE_PORT", "7000")]);
        assert_eq!(Config::read(&one).unwrap().listen.to_string(), "127.0.0.1:7000");
        let both = Env::from_pairs([("AUTHORIZATION_SERVICE_PORT", "7000"), ("FLASK_RUN_PORT", "7001")]);
        assert_eq!(Config::read(&both).unwrap().listen.to_string(), "127.0.0.1:7001");
    }

    #[test]
    fn every_mistake_is_listed() {
        let env = Env::from_pairs([
            ("FLASK_RUN_PORT", "http"),
            ("REDIS_PORT", "70000"),
            ("ADMIN_ADDRESS", "9100"),
            ("RUST_LOG", "=x="),
        ]);
        let mistakes = Config::read(&env).unwrap_err().to_string();
        for name in ["FLASK_RUN_PORT", "REDIS_PORT", "ADMIN_ADDRESS", "RUST_LOG"] {
            assert!(mistakes.contains(name), "{mistakes}");
        }
        assert_eq!(mistakes.lines().count(), 5, "{mistakes}");
    }
}
