//! Asking the ACL service whether a driver may charge (behaviour 4).

use std::time::Duration;

use celery_protocol::{Text, Value, json};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HeaderMap, HeaderValue};
use reqwest::redirect;
use tokio::time::Instant;

use crate::callback::USER_AGENT;
use crate::callback::proxy::Proxies;
use crate::driver_token;

/// As much of an answer as is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// As many redirects as Python follows.
const REDIRECT_LIMIT: usize = 30;

/// The keys that may carry the answer: the service's own word, then that of its documentation.
const KEYS: [&str; 2] = ["authorized", "allowed"];

/// Why there is no answer. Every one of them makes the verdict `unknown`. Never shows the URL: it holds the token.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// The time was up before the whole answer had come.
    #[error("the ACL service did not answer in time")]
    TimedOut,
    /// The exchange failed.
    #[error("the ACL service could not be asked")]
    Exchange(#[source] reqwest::Error),
    /// An answer other than 2xx.
    #[error("the ACL service answered with status {0}")]
    Status(u16),
    /// More than 64 KiB.
    #[error("the ACL service's answer has more than {ANSWER_LIMIT} bytes")]
    TooLong,
    /// Not JSON.
    #[error("the ACL service's answer is no JSON")]
    NotJson(#[source] json::JsonError),
    /// JSON that says nothing.
    #[error("the ACL service's answer says neither `authorized` nor `allowed`")]
    Silent,
    /// JSON that says something else than yes or no.
    #[error("the ACL service's answer is neither true, false, 1 nor 0")]
    Unclear,
}

/// Asks one ACL service over connections that are kept.
#[derive(Debug, Clone)]
pub struct AclClient {
    http: reqwest::Client,
    base_url: String,
}

impl AclClient {
    /// `base_url` is used as it stands: a trailing `/` makes two.
    pub fn new(base_url: String, tls: rustls::ClientConfig, proxies: &Proxies) -> reqwest::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .http1_title_case_headers()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .referer(false)
            .redirect(redirect::Policy::limited(REDIRECT_LIMIT))
            .no_proxy();
        for proxy in proxies.for_reqwest()? {
            builder = builder.proxy(proxy);
        }
        Ok(Self {
            http: builder.build()?,
            base_url,
        })
    }

    /// The status of an answer to a request for nothing in particular: whatever it is, there is a service.
    ///
    /// # Errors
    ///
    /// There is no answer. Does not show the URL, which may hold a password.
    pub async fn look(&self) -> reqwest::Result<u16> {
        let answer = self.http.get(format!("{}/", self.base_url)).send().await;
        answer
            .map(|answer| answer.status().as_u16())
            .map_err(reqwest::Error::without_url)
    }

    /// Whether the driver may charge at the station. `within` bounds the whole exchange, the body included.
    pub async fn is_allowed(
        &self,
        station_id: &str,
        token: &Text,
        within: Duration,
    ) -> Result<bool, AclError> {
        let url = self.url(station_id, token);
        let began = Instant::now();
        match tokio::time::timeout(within, self.ask(url)).await {
            // The timer counts in milliseconds; an answer after the deadline is none.
            Ok(answer) if began.elapsed() <= within => answer,
            _ => Err(AclError::TimedOut),
        }
    }

    fn url(&self, station_id: &str, token: &Text) -> String {
        format!(
            "{}/station/{station_id}/driver/{}/acl",
            self.base_url,
            driver_token::path_segment(token)
        )
    }

    async fn ask(&self, url: String) -> Result<bool, AclError> {
        let failed = |error: reqwest::Error| AclError::Exchange(error.without_url());
        let mut response = self.http.get(url).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(AclError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(AclError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        answer(&body)
    }
}

/// What an answer says. Bytes that are no UTF-8 are replaced, as in Python.
fn answer(body: &[u8]) -> Result<bool, AclError> {
    let text = String::from_utf8_lossy(body);
    let value = json::parse(text.as_bytes()).map_err(AclError::NotJson)?;
    let said = value
        .as_dict()
        .and_then(|dict| KEYS.iter().find_map(|key| dict.get(key)));
    match said {
        Some(Value::Bool(allowed)) => Ok(*allowed),
        Some(Value::Int(1)) => Ok(true),
        Some(Value::Int(0)) => Ok(false),
        Some(_) => Err(AclError::Unclear),
        None => Err(AclError::Silent),
    }
}
