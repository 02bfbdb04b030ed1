//! The worker's configuration, all from the environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use explain::explain;
use hyper::Uri;
use service_kit::env::{Reader, Variable};

use crate::acl_client::AclClient;
#[cfg(feature = "elasticsearch")]
use crate::audit_log::elasticsearch::config::ElasticsearchConfig;
use crate::audit_log::spool::{OpenError, Spool};
use crate::callback::proxy::Proxies;
use crate::callback::webhook::{SecretError, SigningSecrets};
use crate::callback::{CallbackClient, tls};
use crate::target_policy::TargetPolicy;

const AUTHORIZATION_SERVICE_URL: Variable = Variable {
    name: "AUTHORIZATION_SERVICE_URL",
    default: Some("http://localhost:5000"),
    meaning: "where the ACL service is",
};
const CALLBACK_TIMEOUT_SEC: Variable = Variable {
    name: "CALLBACK_TIMEOUT_SEC",
    default: Some("5"),
    meaning: "whole seconds for a callback, redirects included",
};
const CALLBACK_NETWORKS: Variable = Variable {
    name: "CALLBACK_NETWORKS",
    default: Some("any"),
    meaning: "where callbacks may go: any, public, or networks such as 10.0.0.0/8,192.0.2.7",
};
const CALLBACK_SIGNING_SECRET: Variable = Variable {
    name: "CALLBACK_SIGNING_SECRET",
    default: None,
    meaning: "whsec_<base64>, signs callbacks; several with spaces between them: one signature each",
};
const REDIS_HOST: Variable = Variable {
    name: "REDIS_HOST",
    default: None,
    meaning: "Redis for the audit log; unset: no audit log, unless there is ELASTICSEARCH_URL",
};
const REDIS_PORT: Variable = Variable {
    name: "REDIS_PORT",
    default: Some("6379"),
    meaning: "port of REDIS_HOST",
};
const ELASTICSEARCH_URL: Variable = Variable {
    name: "ELASTICSEARCH_URL",
    default: None,
    meaning: if cfg!(feature = "elasticsearch") {
        "Elasticsearch for the audit log; takes precedence over REDIS_HOST"
    } else {
        "Elasticsearch for the audit log; takes precedence over REDIS_HOST; not available in this build"
    },
};
const ELASTIC_PASSWORD: Variable = Variable {
    name: "ELASTIC_PASSWORD",
    default: None,
    meaning: "password of the user elastic, with ELASTICSEARCH_URL",
};
const ELASTICSEARCH_CERTS_PATH: Variable = Variable {
    name: "ELASTICSEARCH_CERTS_PATH",
    default: None,
    meaning: "file with the CA certificate of ELASTICSEARCH_URL; the host name in its certificate is then not checked",
};
const AUDIT_SPOOL: Variable = Variable {
    name: "AUDIT_SPOOL",
    default: Some(DEFAULT_SPOOL),
    meaning: "SQLite file that keeps records while the audit log is down",
};
const AUDIT_SPOOL_MAX_MIB: Variable = Variable {
    name: "AUDIT_SPOOL_MAX_MIB",
    default: Some("1024"),
    meaning: "limit of AUDIT_SPOOL's size in MiB; when it is full, messages stay unacknowledged",
};
const REQUESTS_CA_BUNDLE: Variable = Variable {
    name: "REQUESTS_CA_BUNDLE",
    default: None,
    meaning: "CA certificates to trust in callbacks and the ACL service; unset: Mozilla's",
};
const HTTP_PROXY: Variable = Variable {
    name: "HTTP_PROXY",
    default: None,
    meaning: "proxy for http:// URLs, also http_proxy",
};
const HTTPS_PROXY: Variable = Variable {
    name: "HTTPS_PROXY",
    default: None,
    meaning: "proxy for https:// URLs, also https_proxy",
};
const ALL_PROXY: Variable = Variable {
    name: "ALL_PROXY",
    default: None,
    meaning: "proxy for all URLs, also all_proxy",
};
const NO_PROXY: Variable = Variable {
    name: "NO_PROXY",
    default: None,
    meaning: "hosts called without proxy, also no_proxy",
};

/// In the working directory.
const DEFAULT_SPOOL: &str = "audit-spool.db";

/// Every variable that [`Config::read`] reads, but for the lower-case names of the proxy variables.
pub const VARIABLES: &[Variable] = &[
    AUTHORIZATION_SERVICE_URL,
    CALLBACK_TIMEOUT_SEC,
    CALLBACK_NETWORKS,
    CALLBACK_SIGNING_SECRET,
    REDIS_HOST,
    REDIS_PORT,
    ELASTICSEARCH_URL,
    ELASTIC_PASSWORD,
    ELASTICSEARCH_CERTS_PATH,
    AUDIT_SPOOL,
    AUDIT_SPOOL_MAX_MIB,
    REQUESTS_CA_BUNDLE,
    HTTP_PROXY,
    HTTPS_PROXY,
    ALL_PROXY,
    NO_PROXY,
];

/// What the `authorize` task needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Base URL of the ACL service, used as it stands.
    pub authorization_service_url: String,
    /// For a whole callback.
    pub callback_timeout: Duration,
    /// Where callbacks may go.
    pub callback_networks: TargetPolicy,
    /// What signs callbacks, if anything.
    pub callback_signing: Option<SigningSecrets>,
    /// Where records go.
    pub audit_log: AuditLogConfig,
    /// Where they are kept while they cannot go there.
    pub spool: SpoolConfig,
    /// CA certificates instead of Mozilla's.
    pub ca_bundle: Option<PathBuf>,
    /// Proxies for callbacks and the ACL service.
    pub proxies: Proxies,
}

/// Which audit log there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditLogConfig {
    /// None.
    None,
    /// Elasticsearch, index `log.authorize`.
    #[cfg(feature = "elasticsearch")]
    Elasticsearch(ElasticsearchConfig),
    /// Redis, database 0.
    Redis {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// The spool of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The file that was asked for; none: `audit-spool.db` in the working directory, if that can be written.
    pub path: Option<PathBuf>,
    /// The limit of its size.
    pub max_mib: u32,
}

impl SpoolConfig {
    /// The file, unless it turns out that it cannot be.
    #[cfg(feature = "servers")]
    pub(crate) fn path(&self) -> PathBuf {
        let path = self.path.as_deref().unwrap_or(Path::new(DEFAULT_SPOOL));
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }

    /// The spool. None, with a warning, where nobody asked for one and the working directory cannot be written.
    ///
    /// # Errors
    ///
    /// The file that was asked for cannot be written, or a file is there that is no spool of this version.
    pub fn spool(&self) -> Result<Option<Spool>, OpenError> {
        let default = Path::new(DEFAULT_SPOOL);
        match (
            Spool::new(self.path.as_deref().unwrap_or(default), self.max_mib),
            &self.path,
        ) {
            (Err(error), None) if error.is_unwritable() => {
                tracing::warn!(
                    "there is no spool: {}. While the audit log is down, records are kept back and their messages \
                     unacknowledged",
                    explain(&error)
                );
                Ok(None)
            }
            (spool, _) => spool.map(Some),
        }
    }
}

impl Config {
    /// Reads [`VARIABLES`]; `reader` collects the mistakes.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            authorization_service_url: read_base_url(reader),
            callback_timeout: read_callback_timeout(reader),
            callback_networks: reader.parse_explained(&CALLBACK_NETWORKS),
            callback_signing: read_signing_secrets(reader),
            audit_log: read_audit_log(reader),
            spool: read_spool(reader),
            ca_bundle: read_ca_bundle(reader),
            proxies: read_proxies(reader),
        }
    }

    /// The clients for the ACL service and for callbacks.
    pub fn clients(&self) -> anyhow::Result<(AclClient, CallbackClient)> {
        let tls = tls::client_config(self.ca_bundle.as_deref())?;
        let acl = AclClient::new(self.authorization_service_url.clone(), tls.clone(), &self.proxies)?;
        let callbacks = CallbackClient::new(
            self.callback_networks.clone(),
            Arc::new(tls),
            &self.proxies,
            self.callback_timeout,
        )
        .signing(self.callback_signing.clone());
        Ok((acl, callbacks))
    }
}

fn read_base_url(reader: &mut Reader<'_>) -> String {
    let url = reader.text(&AUTHORIZATION_SERVICE_URL);
    if !is_http(&url, &["http", "https"]) {
        reader.mistake(
            &AUTHORIZATION_SERVICE_URL,
            "expected a URL such as http://localhost:5000",
        );
    }
    url
}

fn read_callback_timeout(reader: &mut Reader<'_>) -> Duration {
    let expected = "a whole number of seconds, at least 1";
    let seconds: u32 = reader.parse(&CALLBACK_TIMEOUT_SEC, expected);
    if seconds == 0 {
        reader.mistake(&CALLBACK_TIMEOUT_SEC, format!("is 0, expected {expected}"));
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

fn read_audit_log(reader: &mut Reader<'_>) -> AuditLogConfig {
    let elasticsearch = read_elasticsearch(reader);
    let port = reader.parse(&REDIS_PORT, "a port from 0 to 65535");
    if let Some(elasticsearch) = elasticsearch {
        return elasticsearch;
    }
    match reader.host(&REDIS_HOST) {
        Some(host) => AuditLogConfig::Redis { host, port },
        None => AuditLogConfig::None,
    }
}

/// Elasticsearch, if it is asked for; it wins over Redis.
#[cfg(feature = "elasticsearch")]
fn read_elasticsearch(reader: &mut Reader<'_>) -> Option<AuditLogConfig> {
    ElasticsearchConfig::read(
        reader,
        &ELASTICSEARCH_URL,
        &ELASTIC_PASSWORD,
        &ELASTICSEARCH_CERTS_PATH,
    )
    .map(AuditLogConfig::Elasticsearch)
}

#[cfg(not(feature = "elasticsearch"))]
fn read_elasticsearch(reader: &mut Reader<'_>) -> Option<AuditLogConfig> {
    if reader.optional(&ELASTICSEARCH_URL).is_some() {
        let why = "is set, but this build has no Elasticsearch: unset it to log to REDIS_HOST, or not at all";
        reader.mistake(&ELASTICSEARCH_URL, why);
    }
    None
}

fn read_spool(reader: &mut Reader<'_>) -> SpoolConfig {
    let expected = "a whole number of MiB from 1 to 1048576";
    let max_mib = reader.parse(&AUDIT_SPOOL_MAX_MIB, expected);
    if !(1..=1 << 20).contains(&max_mib) {
        reader.mistake(&AUDIT_SPOOL_MAX_MIB, format!("is {max_mib}, expected {expected}"));
    }
    SpoolConfig {
        path: reader.optional(&AUDIT_SPOOL).map(PathBuf::from),
        max_mib,
    }
}

fn read_ca_bundle(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(reader.optional(&REQUESTS_CA_BUNDLE)?);
    if let Err(error) = std::fs::metadata(&path) {
        reader.mistake(&REQUESTS_CA_BUNDLE, format!("{}: {error}", path.display()));
    }
    Some(path)
}

/// `NO_PROXY=*` is for every host, in Python for addresses too, which the libraries would still send to a proxy.
fn read_proxies(reader: &mut Reader<'_>) -> Proxies {
    let proxies = Proxies {
        http: read_proxy(reader, &HTTP_PROXY, "http_proxy"),
        https: read_proxy(reader, &HTTPS_PROXY, "https_proxy"),
        all: read_proxy(reader, &ALL_PROXY, "all_proxy"),
        no: read_either(reader, &NO_PROXY, "no_proxy"),
    };
    if proxies.no == "*" {
        Proxies::default()
    } else {
        proxies
    }
}

fn read_proxy(reader: &mut Reader<'_>, variable: &Variable, lower_case: &'static str) -> String {
    let proxy = read_either(reader, variable, lower_case);
    let url = if proxy.contains("://") {
        proxy.clone()
    } else {
        format!("http://{proxy}")
    };
    if !proxy.is_empty() && !is_http(&url, &["http"]) {
        reader.mistake(variable, "expected a proxy such as http://proxy:3128");
    }
    proxy
}

/// The lower-case name wins, as in Python.
fn read_either(reader: &mut Reader<'_>, variable: &Variable, lower_case: &'static str) -> String {
    let lower_case = Variable {
        name: lower_case,
        ..*variable
    };
    reader
        .optional(&lower_case)
        .or_else(|| reader.optional(variable))
        .unwrap_or_default()
}

fn is_http(url: &str, schemes: &[&str]) -> bool {
    url.parse::<Uri>().is_ok_and(|url| {
        url.host().is_some_and(|host| !host.is_empty())
            && url.scheme_str().is_some_and(|scheme| schemes.contains(&scheme))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::env::Env;

    fn read<const N: usize>(pairs: [(&str, &str); N]) -> Result<Config, String> {
        let env = Env::from_pairs(pairs);
        let mut reader = env.reader();
        let config = Config::read(&mut reader);
        reader.finish().map_err(|mistakes| mistakes.to_string())?;
        Ok(config)
    }

    #[test]
    fn defaults_are_pythons() {
        let config = read([]).unwrap();
        assert_eq!(config.authorization_service_url, "http://localhost:5000");
        assert_eq!(config.callback_timeout, Duration::from_secs(5));
        assert_eq!(config.audit_log, AuditLogConfig::None);
        assert_eq!(config.proxies, Proxies::default());
        config.clients().unwrap();
    }

    #[test]
    fn redis_is_chosen_by_its_host() {
        let redis = |port| AuditLogConfig::Redis {
            host: "redis".to_owned(),
            port,
        };
        assert_eq!(read([("REDIS_HOST", "redis")]).unwrap().audit_log, redis(6379));
        assert_eq!(
            read([("REDIS_HOST", "redis"), ("REDIS_PORT", "7")])
                .unwrap()
                .audit_log,
            redis(7)
        );
        assert_eq!(
            read([("REDIS_HOST", "")]).unwrap().audit_log,
            AuditLogConfig::None
        );
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let mistakes = read([
            ("AUTHORIZATION_SERVICE_URL", "acl:5000"),
            ("CALLBACK_TIMEOUT_SEC", "0"),
            ("CALLBACK_NETWORKS", "10.0.0.1/8"),
            ("CALLBACK_SIGNING_SECRET", "whsec_secret"),
            ("ELASTICSEARCH_URL", "elastic:9200"),
            ("REDIS_PORT", "abc"),
            ("REQUESTS_CA_BUNDLE", "/no/such/file"),
            ("https_proxy", "socks5://me:secret@proxy"),
        ])
        .unwrap_err();
        for name in [
            "AUTHORIZATION_SERVICE_URL: expected a URL",
            "CALLBACK_TIMEOUT_SEC: is 0",
            "10.0.0.1/8 has bits set beyond its prefix",
            "CALLBACK_SIGNING_SECRET: secret 1 ",
            if cfg!(feature = "elasticsearch") {
                "ELASTICSEARCH_URL: expected one URL"
            } else {
                "ELASTICSEARCH_URL: is set, but this build has no Elasticsearch"
            },
            "REDIS_PORT: is \"abc\"",
            "REQUESTS_CA_BUNDLE: /no/such/file",
            "HTTPS_PROXY: expected a proxy",
        ] {
            assert!(mistakes.contains(name), "{name} not in\n{mistakes}");
        }
        assert!(!mistakes.contains("whsec_secret") && !mistakes.contains("me:secret"));
    }

    #[cfg(feature = "elasticsearch")]
    #[test]
    fn elasticsearch_is_chosen_by_its_url_and_before_redis() {
        let chosen = read([
            ("ELASTICSEARCH_URL", "https://u:p@elastic"),
            ("ELASTIC_PASSWORD", "shiboleth"),
            ("REDIS_HOST", "redis"),
        ]);
        let expected = ElasticsearchConfig {
            url: "https://elastic/".parse().unwrap(),
            password: "shiboleth".to_owned().into(),
            ca: None,
        };
        assert_eq!(chosen.unwrap().audit_log, AuditLogConfig::Elasticsearch(expected));
        assert_eq!(
            read([("ELASTICSEARCH_URL", "")]).unwrap().audit_log,
            AuditLogConfig::None
        );
        // An empty password is one, as in Python.
        read([
            ("ELASTICSEARCH_URL", "http://elastic:9200"),
            ("ELASTIC_PASSWORD", ""),
        ])
        .unwrap();
    }

    #[cfg(feature = "elasticsearch")]
    #[test]
    fn every_mistake_about_elasticsearch_is_named_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let (folder, empty) = (
            directory.path().to_str().unwrap(),
            directory.path().join("ca.pem"),
        );
        std::fs::write(&empty, "no certificate").unwrap();
        let url = ("ELASTICSEARCH_URL", "https://a:9200,https://me:shiboleth@b:9200");
        for (certificates, why) in [
            ("/no/such/file", "/no/such/file: No such file"),
            (folder, "Is a directory"),
            (empty.to_str().unwrap(), "holds no certificate in PEM"),
        ] {
            let mistakes = read([url, ("ELASTICSEARCH_CERTS_PATH", certificates)]).unwrap_err();
            for words in [
                "ELASTICSEARCH_URL: expected one URL",
                "ELASTIC_PASSWORD: must be set where ELASTICSEARCH_URL is",
                "ELASTICSEARCH_CERTS_PATH: ",
                why,
            ] {
                assert!(mistakes.contains(words), "{words} not in\n{mistakes}");
            }
            assert!(!mistakes.contains("shiboleth"));
        }
    }

    #[test]
    fn urls_without_scheme_or_host_are_mistakes() {
        for url in ["127.0.0.1:21002", "acl:5000", "ftp://acl/", "/acl", "http://"] {
            assert!(read([("AUTHORIZATION_SERVICE_URL", url)]).is_err(), "{url}");
        }
    }

    #[test]
    fn no_proxy_star_is_for_addresses_too() {
        let config = read([("ALL_PROXY", "http://a:1"), ("NO_PROXY", "*")]).unwrap();
        assert_eq!(config.proxies, Proxies::default());
    }

    #[test]
    fn lower_case_proxy_variables_win() {
        let config = read([
            ("HTTP_PROXY", "http://a:1"),
            ("http_proxy", "b:2"),
            ("NO_PROXY", "c.test"),
        ])
        .unwrap();
        assert_eq!(
            (config.proxies.http.as_str(), config.proxies.no.as_str()),
            ("b:2", "c.test")
        );
    }
}
