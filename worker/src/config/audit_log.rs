//! The store of the audit log.

use service_kit::env::{Reader, Variable};

#[cfg(feature = "elasticsearch")]
use crate::audit_log::elasticsearch::config::ElasticsearchConfig;

pub(super) const REDIS_HOST: Variable = Variable {
    name: "REDIS_HOST",
    default: None,
    meaning: "Redis for the audit log; if this and ELASTICSEARCH_URL are unset, there is no audit log",
};
pub(super) const REDIS_PORT: Variable = Variable {
    name: "REDIS_PORT",
    default: Some("6379"),
    meaning: "port of REDIS_HOST",
};
pub(super) const ELASTICSEARCH_URL: Variable = Variable {
    name: "ELASTICSEARCH_URL",
    default: None,
    meaning: if cfg!(feature = "elasticsearch") {
        "Elasticsearch for the audit log; takes precedence over REDIS_HOST"
    } else {
        "Elasticsearch for the audit log; takes precedence over REDIS_HOST; not available in this build"
    },
};
pub(super) const ELASTIC_PASSWORD: Variable = Variable {
    name: "ELASTIC_PASSWORD",
    default: None,
    meaning: "password of the user elastic, with ELASTICSEARCH_URL",
};
pub(super) const ELASTICSEARCH_CERTS_PATH: Variable = Variable {
    name: "ELASTICSEARCH_CERTS_PATH",
    default: None,
    meaning: "file with the CA certificate for ELASTICSEARCH_URL; if set, the host name in the server's certificate is not checked",
};

/// The store of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditLogConfig {
    /// There is no audit log.
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

impl AuditLogConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let elasticsearch = read_elasticsearch(reader);
        let port = reader.parse(&REDIS_PORT, "a port from 0 to 65535");
        if let Some(elasticsearch) = elasticsearch {
            return elasticsearch;
        }
        match reader.host(&REDIS_HOST) {
            Some(host) => Self::Redis { host, port },
            None => Self::None,
        }
    }
}

/// Reads the variables of Elasticsearch, which takes precedence over Redis.
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
        let why = "is set, but this build does not include Elasticsearch; unset it to write the audit log to REDIS_HOST, or to have none";
        reader.mistake(&ELASTICSEARCH_URL, why);
    }
    None
}
