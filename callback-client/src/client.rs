//! The client for callbacks: a POST with the bytes that Python's `requests` sends, and its redirects (behaviour 3).

mod answer;
mod connect;
mod cookies;
mod hop;
mod tunnel;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use tokio::time::Instant;

pub use self::hop::USER_AGENT;

use self::answer::Answer;
use self::connect::{Connector, Deadline};
use self::cookies::Cookies;
use self::hop::Hop;
use crate::callback_status::{CallbackStatus, Cause, Failure, Peer};
use crate::callback_url::CallbackUrl;
use crate::proxy::{Proxies, Proxy};
use crate::target_policy::TargetPolicy;
use crate::webhook::{self, SigningSecrets};

/// Maximum number of redirects that are followed; the next one ends the callback.
const REDIRECT_LIMIT: usize = 30;

/// The configuration of callbacks.
#[derive(Debug, Clone)]
pub struct CallbackConfig {
    /// The limit of a whole callback, from the first name lookup to the last byte read, redirects included.
    pub timeout: Duration,
    /// The addresses that may be dialled.
    pub targets: TargetPolicy,
    /// The secrets that sign callbacks; without them, a callback has only its id.
    pub signing: Option<SigningSecrets>,
}

/// A client that sends callbacks, each over its own connections, as Python does.
#[derive(Debug, Clone)]
pub struct CallbackClient {
    connector: Connector,
    /// `None` if no proxy is set.
    proxies: Option<Arc<Matcher>>,
    timeout: Duration,
    secrets: Option<SigningSecrets>,
}

impl CallbackClient {
    /// Creates a client that uses the CA certificates of `tls` (see [`tls`](crate::tls)) and `proxies`.
    pub fn new(config: CallbackConfig, tls: Arc<rustls::ClientConfig>, proxies: &Proxies) -> Self {
        Self {
            connector: Connector {
                policy: config.targets,
                tls,
            },
            proxies: (*proxies != Proxies::default()).then(|| Arc::new(proxies.matcher())),
            timeout: config.timeout,
            secrets: config.signing,
        }
    }

    /// POSTs `body`, which is JSON, and follows redirects. `id` identifies the callback: a receiver that gets the same
    /// id twice has received the same callback twice.
    pub async fn post(&self, id: &str, url: CallbackUrl, body: String) -> CallbackStatus {
        let deadline = Deadline {
            at: Instant::now() + self.timeout,
            limit: self.timeout,
        };
        let mut cookies = Cookies::default();
        let webhook = webhook::headers(id, &body, Timestamp::now(), self.secrets.as_ref());
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
                Err(why) => return CallbackStatus::Unsendable(why.to_string()),
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

/// Creates a failure. As in urllib3, its peer is the proxy if the proxy could not be reached.
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
