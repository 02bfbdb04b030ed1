//! The configuration: flags first, then the environment, then defaults.

use std::path::PathBuf;
use std::time::Duration;

use service_kit::admin::{self, ADMIN_ADDRESS};
use service_kit::env::{BadEnvironment, Env, Reader, Variable};
use service_kit::http::{self, ACCESS_LOG, AccessLog, ListenAddress};
use service_kit::telemetry::{self, Filter, RUST_LOG};

use crate::cli::{DatabaseFlag, RunFlags};

const STANDALONE_HOST: Variable = Variable {
    name: "STANDALONE_HOST",
    default: Some("127.0.0.1"),
    meaning: "address to listen on; --host",
};
const STANDALONE_API_PORT: Variable = Variable {
    name: "STANDALONE_API_PORT",
    default: Some("8080"),
    meaning: "port of the public API; --api-port",
};
const AUTHORIZATION_SERVICE_PORT: Variable = Variable {
    name: "AUTHORIZATION_SERVICE_PORT",
    default: Some("5000"),
    meaning: "port of the ACL service; --acl-port",
};
const STANDALONE_DATABASE: Variable = Variable {
    name: "STANDALONE_DATABASE",
    default: Some("cp-auth.db"),
    meaning: "file to keep everything in; --database",
};
const AUTHORIZATION_TIMEOUT_SEC: Variable = Variable {
    name: "AUTHORIZATION_TIMEOUT_SEC",
    default: Some("5"),
    meaning: "whole seconds after which an accepted request is called back with status unknown",
};

/// The worker's, where only callbacks go over TLS.
const REQUESTS_CA_BUNDLE: Variable = Variable {
    name: "REQUESTS_CA_BUNDLE",
    default: None,
    meaning: "CA certificates to trust in callbacks; unset: Mozilla's",
};

const OWN: [Variable; 9] = [
    STANDALONE_HOST,
    STANDALONE_API_PORT,
    AUTHORIZATION_SERVICE_PORT,
    STANDALONE_DATABASE,
    AUTHORIZATION_TIMEOUT_SEC,
    REQUESTS_CA_BUNDLE,
    ADMIN_ADDRESS,
    ACCESS_LOG,
    RUST_LOG,
];

/// The variables of the worker that mean here what they mean there.
const OF_THE_WORKER: [&str; 11] = [
    "CALLBACK_TIMEOUT_SEC",
    "CALLBACK_NETWORKS",
    "CALLBACK_SIGNING_SECRET",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Variables of the three services that have no meaning where there is no broker, no Redis and no second host.
const WITHOUT_EFFECT: [&str; 7] = [
    "BROKER_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "ELASTICSEARCH_URL",
    "AUTHORIZATION_SERVICE_URL",
    "FLASK_RUN_HOST",
    "FLASK_RUN_PORT",
];

/// Every variable that the program reads.
pub fn variables() -> Vec<Variable> {
    let of_the_worker = worker::config::VARIABLES
        .iter()
        .filter(|variable| OF_THE_WORKER.contains(&variable.name));
    OWN.iter().chain(of_the_worker).copied().collect()
}

/// How the services run.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where the public API answers.
    pub(crate) api: ListenAddress,
    /// Where the ACL service answers.
    pub(crate) acl: ListenAddress,
    /// The file that holds everything.
    pub(crate) database: PathBuf,
    /// How long after its acceptance a request may still be answered with a verdict.
    pub(crate) authorization_timeout: Duration,
    /// How callbacks are made.
    pub(crate) worker: worker::config::Config,
    /// Where health is served, if anywhere.
    pub(crate) admin: Option<ListenAddress>,
    /// Whether each request is logged.
    pub(crate) access_log: bool,
    /// What is logged.
    pub(crate) log: Filter,
    /// Variables that are set but have no effect here.
    pub(crate) without_effect: Vec<&'static str>,
}

impl Config {
    /// Reads the environment; `flags` win.
    ///
    /// # Errors
    ///
    /// With every mistake in the environment.
    pub(crate) fn read(env: &Env, flags: &RunFlags) -> Result<Self, BadEnvironment> {
        const PORT: &str = "a port from 0 to 65535";
        let without_effect = set(env, &WITHOUT_EFFECT);
        let env = only_ours(env)?;
        let mut reader = env.reader();
        let host = reader.text(&STANDALONE_HOST);
        let host = flags.host.as_ref().unwrap_or(&host);
        let api_port = reader.parse(&STANDALONE_API_PORT, PORT);
        let acl_port = reader.parse(&AUTHORIZATION_SERVICE_PORT, PORT);
        let timeout: u32 = reader.parse(&AUTHORIZATION_TIMEOUT_SEC, "a whole number of seconds");
        let access_log = http::read_access_log(&mut reader);
        let config = Self {
            api: ListenAddress::new(host, flags.api_port.unwrap_or(api_port)),
            acl: ListenAddress::new(host, flags.acl_port.unwrap_or(acl_port)),
            database: database(&mut reader, &flags.database),
            authorization_timeout: Duration::from_secs(timeout.into()),
            worker: worker::config::Config::read(&mut reader),
            admin: admin::read_address(&mut reader),
            access_log,
            log: AccessLog::filter(access_log, telemetry::read_filter(&mut reader)),
            without_effect,
        };
        reader.finish()?;
        Ok(config)
    }
}

/// The file of `log` and `queue`.
///
/// # Errors
///
/// If the variable that names it is no text.
pub(crate) fn read_database(env: &Env, flag: &DatabaseFlag) -> Result<PathBuf, BadEnvironment> {
    let mut reader = env.reader();
    let path = database(&mut reader, flag);
    reader.finish()?;
    Ok(path)
}

fn database(reader: &mut Reader<'_>, flag: &DatabaseFlag) -> PathBuf {
    let default = reader.text(&STANDALONE_DATABASE);
    flag.file.clone().unwrap_or_else(|| default.into())
}

/// The environment without what this program does not read, so that a broken `REDIS_PORT` stops nobody.
fn only_ours(env: &Env) -> Result<Env, BadEnvironment> {
    const NAMES: [&str; OWN.len() + OF_THE_WORKER.len()] = {
        let mut names = [""; OWN.len() + OF_THE_WORKER.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = if index < OWN.len() {
                OWN[index].name
            } else {
                OF_THE_WORKER[index - OWN.len()]
            };
            index += 1;
        }
        names
    };
    let mut reader = env.reader();
    let values = NAMES.map(|name| (name, reader.optional(&named(name)).unwrap_or_default()));
    reader.finish()?;
    Ok(Env::from_pairs(
        values.each_ref().map(|(name, value)| (*name, value.as_str())),
    ))
}

fn set(env: &Env, names: &[&'static str]) -> Vec<&'static str> {
    let mut reader = env.reader();
    names
        .iter()
        .copied()
        .filter(|name| reader.optional(&named(name)).is_some())
        .collect()
}

fn named(name: &'static str) -> Variable {
    Variable {
        name,
        default: None,
        meaning: "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(pairs: [(&str, &str); N]) -> Result<Config, String> {
        Config::read(&Env::from_pairs(pairs), &RunFlags::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_environment_means_the_defaults() {
        let config = read([]).unwrap();
        assert_eq!(
            (config.api.to_string(), config.acl.to_string()),
            ("127.0.0.1:8080".into(), "127.0.0.1:5000".into())
        );
        assert_eq!(config.database, PathBuf::from("cp-auth.db"));
        assert_eq!(config.authorization_timeout, Duration::from_secs(5));
        assert_eq!(config.worker.callback.timeout, Duration::from_secs(5));
    }

    #[test]
    fn flags_win_over_the_environment() {
        let env = Env::from_pairs([
            ("STANDALONE_HOST", "127.0.0.2"),
            ("STANDALONE_API_PORT", "1"),
            ("AUTHORIZATION_SERVICE_PORT", "2"),
            ("STANDALONE_DATABASE", "env.db"),
            ("CALLBACK_TIMEOUT_SEC", "7"),
        ]);
        let config = Config::read(&env, &RunFlags::default()).unwrap();
        assert_eq!(
            (config.api.to_string(), config.acl.to_string()),
            ("127.0.0.2:1".into(), "127.0.0.2:2".into())
        );
        assert_eq!(config.database, PathBuf::from("env.db"));
        assert_eq!(config.worker.callback.timeout, Duration::from_secs(7));
        let flags = RunFlags {
            host: Some("::1".to_owned()),
            api_port: Some(3),
            acl_port: Some(4),
            database: DatabaseFlag {
                file: Some("flag.db".into()),
            },
        };
        let config = Config::read(&env, &flags).unwrap();
        assert_eq!(
            (config.api.to_string(), config.acl.to_string()),
            ("[::1]:3".into(), "[::1]:4".into())
        );
        assert_eq!(config.database, PathBuf::from("flag.db"));
    }

    #[test]
    fn every_mistake_is_said() {
        let mistakes = read([
            ("STANDALONE_API_PORT", "http"),
            ("AUTHORIZATION_SERVICE_PORT", "70000"),
            ("AUTHORIZATION_TIMEOUT_SEC", "soon"),
            ("CALLBACK_TIMEOUT_SEC", "0"),
            ("CALLBACK_NETWORKS", "nowhere"),
            ("ADMIN_ADDRESS", "9100"),
            ("RUST_LOG", "=x="),
            ("http_proxy", "socks5://p"),
        ]);
        let mistakes = mistakes.unwrap_err();
        for name in [
            "API_PORT",
            "SERVICE_PORT",
            "TIMEOUT_SEC",
            "CALLBACK_T",
            "CALLBACK_N",
            "ADMIN",
            "RUST_LOG",
            "PROXY",
        ] {
            assert!(mistakes.contains(name), "{name}: {mistakes}");
        }
        assert_eq!(mistakes.lines().count(), 9, "{mistakes}");
    }

    #[test]
    fn what_has_no_effect_stops_nobody_but_is_named() {
        let config = read([
            ("REDIS_PORT", "x"),
            ("ELASTICSEARCH_URL", "http://e"),
            ("FLASK_RUN_PORT", "y"),
        ])
        .unwrap();
        assert_eq!(
            config.without_effect,
            ["REDIS_PORT", "ELASTICSEARCH_URL", "FLASK_RUN_PORT"]
        );
    }

    #[test]
    fn the_worker_knows_the_variables_that_are_taken_from_it() {
        let upper_case = OF_THE_WORKER
            .iter()
            .filter(|name| name.bytes().all(|byte| !byte.is_ascii_lowercase()));
        assert_eq!(variables().len(), OWN.len() + upper_case.count());
    }
}
