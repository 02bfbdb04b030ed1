//! The client of the ACL service, which decides whether a driver may charge (behaviour 4).

mod outage;

use std::error::Error;
use std::time::Duration;

use callback_client::USER_AGENT;
use callback_client::proxy::Proxies;
use celery_protocol::{Text, Value, json};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HeaderMap, HeaderValue};
use reqwest::redirect;
use tokio::time::Instant;

use self::outage::Outage;
use crate::driver_token;

/// Maximum size of an answer in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Maximum number of redirects, as in Python.
const REDIRECT_LIMIT: usize = 30;

/// The keys that may contain the answer: the one that the service sends, then the one in its documentation.
const KEYS: [&str; 2] = ["authorized", "allowed"];

/// The error if the client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the client for the ACL service")]
pub struct SetUpError(#[source] Box<dyn Error + Send + Sync>);

/// The reason why there is no usable answer. Each of them makes the verdict `unknown`. None of the texts shows the URL,
/// because it contains the token.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// The time was up before the whole answer had arrived.
    #[error("the ACL service did not answer in time")]
    TimedOut,
    /// The exchange failed.
    #[error("the request to the ACL service failed")]
    Exchange(#[source] Box<dyn Error + Send + Sync>),
    /// The status is not 2xx.
    #[error("the ACL service answered with status {0}")]
    Status(u16),
    /// The answer is longer than 64 KiB.
    #[error("the ACL service's answer is longer than {ANSWER_LIMIT} bytes")]
    TooLong,
    /// The answer is not JSON.
    #[error("the ACL service's answer is not valid JSON")]
    NotJson(#[source] json::JsonError),
    /// The answer is JSON but has neither key.
    #[error("the ACL service's answer has neither `authorized` nor `allowed`")]
    Silent,
    /// The value of the key means neither yes nor no.
    #[error("the ACL service's answer is not true, false, 1 or 0")]
    Unclear,
}

/// A client of one ACL service, which reuses its connections.
#[derive(Debug)]
pub struct AclClient {
    http: reqwest::Client,
    base_url: String,
    outage: Outage,
}

impl AclClient {
    /// Creates a client. `base_url` is used as it is: if it ends in `/`, the path begins with two.
    ///
    /// # Errors
    ///
    /// If a proxy cannot be used.
    pub fn new(base_url: String, tls: rustls::ClientConfig, proxies: &Proxies) -> Result<Self, SetUpError> {
        Ok(Self {
            http: http_client(tls, proxies).map_err(|error| SetUpError(error.into()))?,
            base_url,
            outage: Outage::default(),
        })
    }

    /// Requests the root path and returns the status of the answer. Any status shows that the service is running.
    ///
    /// # Errors
    ///
    /// If there is no answer. The error does not show the URL, which may contain a password.
    pub async fn look(&self) -> Result<u16, AclError> {
        let answer = self.http.get(format!("{}/", self.base_url)).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(failed)
    }

    /// Asks whether the driver may charge at the station; returns `None` if there is no usable answer. Logs an outage
    /// when it begins and when it is over, and each failure in between at debug level.
    ///
    /// `within` bounds the whole exchange; `now` is the time at which it begins, in nanoseconds since 1970.
    pub async fn ask(&self, station_id: &str, token: &Text, within: Duration, now: i128) -> Option<bool> {
        let began = Instant::now();
        let answer = self.is_allowed(station_id, token, within).await;
        let elapsed = i128::try_from(began.elapsed().as_nanos()).unwrap_or(0);
        self.outage.note(station_id, &answer, now + elapsed);
        answer.ok()
    }

    /// Asks whether the driver may charge at the station. `within` bounds the whole exchange, including the body.
    pub async fn is_allowed(
        &self,
        station_id: &str,
        token: &Text,
        within: Duration,
    ) -> Result<bool, AclError> {
        let url = self.url(station_id, token);
        let began = Instant::now();
        match tokio::time::timeout(within, self.exchange(url)).await {
            // The timer has a resolution of milliseconds; an answer after the deadline does not count.
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

    async fn exchange(&self, url: String) -> Result<bool, AclError> {
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

fn http_client(tls: rustls::ClientConfig, proxies: &Proxies) -> reqwest::Result<reqwest::Client> {
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
    for (url, proxy) in [
        (&proxies.http, reqwest::Proxy::http as fn(_) -> _),
        (&proxies.https, reqwest::Proxy::https),
        (&proxies.all, reqwest::Proxy::all),
    ] {
        if !url.is_empty() {
            let direct = reqwest::NoProxy::from_string(&proxies.no);
            builder = builder.proxy(proxy(url.as_str())?.no_proxy(direct));
        }
    }
    builder.build()
}

fn failed(error: reqwest::Error) -> AclError {
    AclError::Exchange(error.without_url().into())
}

/// Returns the value in an answer. Bytes that are not UTF-8 are replaced, as in Python.
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
