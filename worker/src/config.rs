//! The worker's configuration, all from the environment: one file per concern.

mod acl;
mod audit_log;
mod callback;
mod http_url;
mod outgoing;
mod spool;

use std::sync::Arc;

use callback_client::tls::{self, TrustError};
use callback_client::{CallbackClient, CallbackConfig};
use service_kit::env::{Reader, Variable};

pub use self::acl::AclConfig;
pub use self::audit_log::AuditLogConfig;
pub use self::outgoing::OutgoingConfig;
pub use self::spool::SpoolConfig;
use crate::acl_client::{AclClient, SetUpError};

/// Every variable that [`Config::read`] reads, except the lower-case names of the proxy variables.
pub const VARIABLES: &[Variable] = &[
    acl::AUTHORIZATION_SERVICE_URL,
    callback::CALLBACK_TIMEOUT_SEC,
    callback::CALLBACK_NETWORKS,
    callback::CALLBACK_SIGNING_SECRET,
    audit_log::REDIS_HOST,
    audit_log::REDIS_PORT,
    audit_log::ELASTICSEARCH_URL,
    audit_log::ELASTIC_PASSWORD,
    audit_log::ELASTICSEARCH_CERTS_PATH,
    spool::AUDIT_SPOOL,
    spool::AUDIT_SPOOL_MAX_MIB,
    outgoing::REQUESTS_CA_BUNDLE,
    outgoing::HTTP_PROXY,
    outgoing::HTTPS_PROXY,
    outgoing::ALL_PROXY,
    outgoing::NO_PROXY,
];

/// The configuration of the `authorize` task.
#[derive(Debug, Clone)]
pub struct Config {
    /// The ACL service.
    pub acl: AclConfig,
    /// The callbacks.
    pub callback: CallbackConfig,
    /// CA certificates and proxies for both.
    pub outgoing: OutgoingConfig,
    /// The audit log.
    pub audit_log: AuditLogConfig,
    /// The spool, which keeps records while the audit log is down.
    pub spool: SpoolConfig,
}

/// The error if the clients cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// The CA certificates cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The client for the ACL service cannot be set up.
    #[error(transparent)]
    Acl(#[from] SetUpError),
}

impl Config {
    /// Reads [`VARIABLES`]; `reader` collects the mistakes.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            acl: AclConfig::read(reader),
            callback: callback::read(reader),
            audit_log: AuditLogConfig::read(reader),
            spool: SpoolConfig::read(reader),
            outgoing: OutgoingConfig::read(reader),
        }
    }

    /// Creates the clients for the ACL service and for callbacks.
    ///
    /// # Errors
    ///
    /// If the CA certificates or the proxies cannot be used.
    pub fn clients(&self) -> Result<(AclClient, CallbackClient), ClientsError> {
        let OutgoingConfig { ca_bundle, proxies } = &self.outgoing;
        let tls = tls::client_config(ca_bundle.as_deref())?;
        let acl = AclClient::new(self.acl.url.clone(), tls.clone(), proxies)?;
        let callbacks = CallbackClient::new(self.callback.clone(), Arc::new(tls), proxies);
        Ok((acl, callbacks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "elasticsearch")]
    use crate::audit_log::elasticsearch::config::ElasticsearchConfig;
    use callback_client::proxy::Proxies;
    use service_kit::env::Env;
    use std::time::Duration;

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
        assert_eq!(config.acl.url, "http://localhost:5000");
        assert_eq!(config.callback.timeout, Duration::from_secs(5));
        assert_eq!(config.audit_log, AuditLogConfig::None);
        assert_eq!(config.outgoing.proxies, Proxies::default());
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
                "ELASTICSEARCH_URL: is set, but this build does not include Elasticsearch"
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
        // An empty password counts as set, as in Python.
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
            (empty.to_str().unwrap(), "contains no PEM certificate"),
        ] {
            let mistakes = read([url, ("ELASTICSEARCH_CERTS_PATH", certificates)]).unwrap_err();
            for words in [
                "ELASTICSEARCH_URL: expected one URL",
                "ELASTIC_PASSWORD: must be set if ELASTICSEARCH_URL is set",
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
        assert_eq!(config.outgoing.proxies, Proxies::default());
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
            (
                config.outgoing.proxies.http.as_str(),
                config.outgoing.proxies.no.as_str()
            ),
            ("b:2", "c.test")
        );
    }
}
