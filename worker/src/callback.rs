//! The callback: the verdict sent by POST to the caller's URL, with the bytes that Python's `requests` sends (behaviour 3).

mod answer;
mod connect;
mod cookies;
mod hop;
pub mod proxy;
pub mod tls;
pub mod webhook;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use tokio::time::Instant;

use self::answer::Answer;
use self::connect::{Connector, Deadline};
use self::cookies::Cookies;
use self::hop::Hop;
use self::proxy::{Proxies, Proxy};
use self::webhook::SigningSecrets;
use crate::callback_status::{CallbackStatus, Cause, Failure, Peer};
use crate::callback_url::CallbackUrl;
use crate::target_policy::TargetPolicy;

/// Who we say we are: the Python worker's own word, which callers may have come to rely on.
pub const USER_AGENT: &str = "python-requests/2.34.2";

/// Redirects that are followed; the next one ends the callback.
const REDIRECT_LIMIT: usize = 30;

/// As much of a final answer's body as is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// Calls back. Every callback has connections of its own, as Python's have.
#[derive(Debug, Clone)]
pub struct CallbackClient {
    connector: Connector,
    /// `None` where no proxy is set.
    proxies: Option<Arc<Matcher>>,
    timeout: Duration,
    secrets: Option<SigningSecrets>,
}

impl CallbackClient {
    /// `timeout` is for a whole callback, from the first name lookup to the last byte read, redirects included.
    pub fn new(
        policy: TargetPolicy,
        tls: Arc<rustls::ClientConfig>,
        proxies: &Proxies,
        timeout: Duration,
    ) -> Self {
        Self {
            connector: Connector { policy, tls },
            proxies: (*proxies != Proxies::default()).then(|| Arc::new(proxies.matcher())),
            timeout,
            secrets: None,
        }
    }

    /// The same client, but what it sends is signed with `secrets`.
    #[must_use]
    pub fn signing(self, secrets: Option<SigningSecrets>) -> Self {
        Self { secrets, ..self }
    }

    /// POSTs `body`, which is JSON, for the task `task_id` and follows redirects.
    pub async fn post(&self, task_id: &str, url: CallbackUrl, body: String) -> CallbackStatus {
        let deadline = Deadline {
            at: Instant::now() + self.timeout,
            limit: self.timeout,
        };
        let mut cookies = Cookies::default();
        let webhook = webhook::headers(task_id, &body, Timestamp::now(), self.secrets.as_ref());
        let mut hop = Hop::post(url, body, webhook);
        let mut followed = 0;
        loop {
            let answer = match self.exchange(&hop, &cookies, deadline).await {
                Ok(answer) => answer,
                Err(failure) => return CallbackStatus::Failed(failure),
            };
            let Some(location) = answer.location() else {
                return CallbackStatus::Response(answer.status);
            };
            if followed == REDIRECT_LIMIT {
                return CallbackStatus::TooManyRedirects;
            }
            followed += 1;
            for cookie in answer.cookies() {
                cookies.set(hop.url.host(), hop.path(), &cookie);
            }
            hop = match hop.redirected(answer.status, &location) {
                Ok(next) => next,
                Err(why) => return CallbackStatus::Unsendable(why),
            };
        }
    }

    async fn exchange(&self, hop: &Hop, cookies: &Cookies, deadline: Deadline) -> Result<Answer, Failure> {
        let peer = hop.peer();
        let proxies = self.proxies.as_deref();
        let proxy = proxies.and_then(|proxies| Proxy::choose(proxies, peer.tls, &peer.host, peer.port));
        let target = hop.target(proxy.is_some());
        let failed = |cause| failure(&peer, proxy.as_ref(), target.clone(), cause);

        let stream = self
            .connector
            .connect(&peer, proxy.as_ref(), deadline)
            .await
            .map_err(failed)?;
        let cookie = cookies.header(peer.tls, &peer.host, hop.path());
        let request = hop.request(cookie.as_deref(), proxy.as_ref()).map_err(failed)?;
        answer::receive(stream, request, &target, &peer.host, deadline)
            .await
            .map_err(failed)
    }
}

/// urllib3 names the proxy as the peer where the proxy could not be reached.
fn failure(peer: &Peer, proxy: Option<&Proxy>, target: String, cause: Cause) -> Failure {
    let at = match (&cause, proxy) {
        (Cause::Proxy(_), Some(proxy)) if !peer.tls => Peer {
            tls: false,
            host: proxy.host.clone(),
            port: proxy.port,
        },
        _ => peer.clone(),
    };
    Failure { at, target, cause }
}
