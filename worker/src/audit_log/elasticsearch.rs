//! The audit log in Elasticsearch: one document per authorization in the index `log.authorize` (behaviour 7, ADR 38).

mod answer;
pub mod config;
mod document;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::StatusCode;
use elasticsearch::http::headers::{ACCEPT, CONTENT_TYPE, HeaderValue};
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use elasticsearch::indices::{IndicesCreateParts, IndicesExistsParts};
use elasticsearch::{BulkParts, Elasticsearch};
use explain::explain;
use tokio::time::Instant;

use self::answer::Failure;
use self::config::ElasticsearchConfig;
use super::record::AuditRecord;
use super::sink::{AuditError, AuditSink, Fate, StoreError};

/// The index of the documents, or an alias of it.
const INDEX: &str = "log.authorize";

/// Timeout of one request, as in Python.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of one `_bulk` request in bytes, unless a single record is larger. Elasticsearch accepts 100 MB, but a
/// proxy in front of it may accept less: a request that is refused for its size is cut in halves.
const REQUEST_LIMIT: usize = 5 * 1024 * 1024;

/// How long an index that was seen is assumed to exist. If it is missing, Elasticsearch creates it on a write, with a
/// mapping that is not Python's.
const INDEX_IS_BELIEVED: Duration = Duration::from_secs(1);

const JSON: HeaderValue = HeaderValue::from_static("application/vnd.elasticsearch+json; compatible-with=8");
const NDJSON: HeaderValue =
    HeaderValue::from_static("application/vnd.elasticsearch+x-ndjson; compatible-with=8");

/// Writes documents with `_bulk`. Each is created under its task's id, so that writing a record again does not create a
/// second document.
pub struct ElasticsearchAuditLog {
    client: Elasticsearch,
    store: String,
    /// When the index was last seen; `None` before the first contact and after every failure.
    index_seen: Mutex<Option<Instant>>,
}

/// Checks once that Elasticsearch answers and accepts the password. The caller sets the timeout.
///
/// # Errors
///
/// If it does not; the error gives the reason.
pub async fn look(config: &ElasticsearchConfig) -> Result<(), StoreError> {
    let audit_log = ElasticsearchAuditLog::new(config)?;
    audit_log.find_server().await.map_err(StoreError::new)
}

impl ElasticsearchAuditLog {
    /// Creates the sink, which connects on first use.
    ///
    /// With a CA file, the server's certificate must be issued by a CA in it (or by a CA of the system), and its host
    /// name is not checked, as in Python. Without one, it must be issued by a CA of the system and be valid for the
    /// host. Proxy variables are ignored.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new(config: &ElasticsearchConfig) -> Result<Self, StoreError> {
        let certificates = match &config.ca {
            Some(pem) => {
                CertificateValidation::Certificate(Certificate::from_pem(pem).map_err(StoreError::new)?)
            }
            None => CertificateValidation::Default,
        };
        let transport = TransportBuilder::new(SingleNodeConnectionPool::new(config.url.clone()))
            .auth(Credentials::Basic(
                "elastic".to_owned(),
                config.password.reveal().to_owned(),
            ))
            .cert_validation(certificates)
            .timeout(TIMEOUT)
            .disable_proxy()
            .build()
            .map_err(StoreError::new)?;
        Ok(Self {
            client: Elasticsearch::new(transport),
            store: format!("Elasticsearch at {}", config.url),
            index_seen: Mutex::new(None),
        })
    }

    /// Checks that Elasticsearch answers and accepts the password.
    async fn find_server(&self) -> Result<(), Failure> {
        let response = self.client.info().header(ACCEPT, JSON).send().await?;
        let response = answer::successful("GET /", response).await?;
        answer::is_elasticsearch(&response)
    }

    /// Creates the index with Python's mapping if it is missing; an existing one is left as it is.
    async fn find_index(&self) -> Result<(), Failure> {
        let indices = self.client.indices();
        let index = IndicesExistsParts::Index(&[INDEX]);
        let response = indices.exists(index).header(ACCEPT, JSON).send().await?;
        if response.status_code() != StatusCode::NOT_FOUND {
            answer::successful("HEAD /log.authorize", response).await?;
            return Ok(());
        }
        let response = indices
            .create(IndicesCreateParts::Index(INDEX))
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, JSON)
            .body(document::index())
            .send()
            .await?;
        match answer::successful("PUT /log.authorize", response).await {
            // Another worker was faster.
            Err(Failure::Status { kind, .. }) if kind == "resource_already_exists_exception" => Ok(()),
            created => created.map(drop),
        }
    }

    /// Makes sure that the index exists.
    async fn prepare(&self) -> Result<(), Failure> {
        let seen = *self.index_seen();
        match seen {
            Some(seen) if seen.elapsed() < INDEX_IS_BELIEVED => return Ok(()),
            Some(_) => {}
            None => self.find_server().await?,
        }
        self.find_index().await?;
        *self.index_seen() = Some(Instant::now());
        Ok(())
    }

    /// Sends these records in as many requests as necessary.
    async fn send(&self, lines: &[Vec<u8>]) -> Result<Vec<Fate>, Failure> {
        let mut left: VecDeque<&[Vec<u8>]> = document::batches(lines, REQUEST_LIMIT).into();
        let mut fates = Vec::with_capacity(lines.len());
        while let Some(batch) = left.pop_front() {
            match self.bulk(batch).await {
                Ok(more) => fates.extend(more),
                Err(failure) if failure.is_about_the_records() => match batch {
                    [_] => fates.push(Fate::Refused(explain(&failure))),
                    several => {
                        let (first, second) = several.split_at(several.len() / 2);
                        left.push_front(second);
                        left.push_front(first);
                    }
                },
                Err(failure) if fates.is_empty() => return Err(failure),
                Err(failure) => {
                    self.forget_index();
                    fates.resize(lines.len(), Fate::Deferred(explain(&failure)));
                    break;
                }
            }
        }
        Ok(fates)
    }

    async fn bulk(&self, batch: &[Vec<u8>]) -> Result<Vec<Fate>, Failure> {
        let response = self
            .client
            .bulk(BulkParts::Index(INDEX))
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, NDJSON)
            .body(batch.iter().map(Vec::as_slice).collect())
            .send()
            .await?;
        let response = answer::successful("POST /log.authorize/_bulk", response).await?;
        let fates = answer::fates(&response.bytes().await?, batch.len())?;
        if fates.iter().any(|fate| matches!(fate, Fate::Deferred(_))) {
            self.forget_index();
        }
        Ok(fates)
    }

    fn index_seen(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.index_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_index(&self) {
        *self.index_seen() = None;
    }

    fn failed(&self, failure: Failure) -> AuditError {
        self.forget_index();
        AuditError {
            store: self.store.clone(),
            source: failure.into(),
        }
    }
}

impl AuditSink for ElasticsearchAuditLog {
    async fn check(&self) -> Result<(), AuditError> {
        self.forget_index();
        self.prepare().await.map_err(|failure| self.failed(failure))
    }

    async fn write(&self, records: &[AuditRecord]) -> Result<Vec<Fate>, AuditError> {
        let lines: Vec<Vec<u8>> = records.iter().map(document::lines).collect();
        let written = async {
            self.prepare().await?;
            self.send(&lines).await
        };
        written.await.map_err(|failure| self.failed(failure))
    }
}
