//! The configuration: flags first, then the environment, then defaults.

use std::path::PathBuf;
use std::time::Duration;

use service_kit::admin;
use service_kit::env::{BadEnvironment, Env, Reader};
use service_kit::http::{self, AccessLog, ListenAddress};
use service_kit::telemetry::{self, Filter};

use crate::cli::{DatabaseFlag, RunFlags};
use crate::variables::{
    self, AUTHORIZATION_SERVICE_PORT, AUTHORIZATION_TIMEOUT_SEC, STANDALONE_API_PORT, STANDALONE_DATABASE,
    STANDALONE_HOST,
};

/// The configuration of the services.
#[derive(Debug)]
pub(crate) struct Config {
    /// The address of the public API.
    pub(crate) api: ListenAddress,
    /// The address of the ACL service.
    pub(crate) acl: ListenAddress,
    /// The file for all data.
    pub(crate) database: PathBuf,
    /// How long after its acceptance a request may still be answered with a verdict.
    pub(crate) authorization_timeout: Duration,
    /// The configuration of callbacks.
    pub(crate) worker: worker::config::Config,
    /// The address that serves health, if any.
    pub(crate) admin: Option<ListenAddress>,
    /// Whether each request is logged.
    pub(crate) access_log: bool,
    /// The log filter.
    pub(crate) log: Filter,
    /// Variables that are set but have no effect here.
    pub(crate) without_effect: Vec<&'static str>,
}

impl Config {
    /// Reads the environment. `flags` take precedence.
    ///
    /// # Errors
    ///
    /// If there are mistakes in the environment; the error lists all of them.
    pub(crate) fn read(env: &Env, flags: &RunFlags) -> Result<Self, BadEnvironment> {
        const PORT: &str = "a port from 0 to 65535";
        let without_effect = variables::without_effect(env);
        let env = variables::only_ours(env)?;
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

/// Returns the file for `log` and `queue`.
///
/// # Errors
///
/// If the variable that names it is not valid UTF-8.
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
    fn flags_take_precedence_over_the_environment() {
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
    fn every_mistake_is_listed() {
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
    fn variables_without_effect_are_no_mistakes_but_are_named() {
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
}
