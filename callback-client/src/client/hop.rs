//! One request of a callback: the POST itself, or the request that follows from a redirect.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};

use crate::callback_status::{Cause, Peer};
use crate::callback_url::{CallbackUrl, RedirectError};
use crate::proxy::Proxy;

/// The `User-Agent` of every request: that of the Python program, on which receivers may rely.
pub const USER_AGENT: &str = "python-requests/2.34.2";

/// A request to be sent.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) url: CallbackUrl,
    /// The JSON text of a POST; a GET has none.
    body: Option<Bytes>,
    authorization: Option<String>,
    /// The id and signature of a POST; a GET has no body to sign.
    webhook: Vec<(HeaderName, HeaderValue)>,
}

impl Hop {
    /// Creates the first request, with the credentials of its URL.
    pub(super) fn post(url: CallbackUrl, body: String, webhook: Vec<(HeaderName, HeaderValue)>) -> Self {
        let authorization = url.authorization().map(ToOwned::to_owned);
        Self {
            url,
            body: Some(Bytes::from(body)),
            authorization,
            webhook,
        }
    }

    /// Returns the request that a redirect asks for: 301, 302 and 303 become GET without a body. `Authorization` is
    /// sent only to its own host and port; credentials in a Location are not used.
    pub(super) fn redirected(self, status: u16, location: &[u8]) -> Result<Self, RedirectError> {
        let url = self.url.redirect(location)?;
        let authorization = self
            .authorization
            .filter(|_| may_share_credentials(&self.url, &url));
        let (body, webhook) = if matches!(status, 307 | 308) {
            (self.body, self.webhook)
        } else {
            (None, Vec::new())
        };
        Ok(Self {
            url,
            body,
            authorization,
            webhook,
        })
    }

    pub(super) fn peer(&self) -> Peer {
        Peer {
            tls: is_tls(&self.url),
            host: self.url.host().to_owned(),
            port: self.url.port(),
        }
    }

    /// Returns the path of the request target.
    pub(super) fn path(&self) -> &str {
        let target = self.url.request_target();
        target.split('?').next().unwrap_or(target)
    }

    /// Returns the request target, in absolute form if it goes to a proxy without a tunnel.
    pub(super) fn target(&self, proxied: bool) -> String {
        if proxied && !is_tls(&self.url) {
            format!("http://{}{}", self.url.host_header(), self.url.request_target())
        } else {
            self.url.request_target().to_owned()
        }
    }

    /// Returns the request without its target, which the wire sets. The order of headers is that of the contract
    /// (behaviour 3); the webhook headers, which Python does not send, come last.
    pub(super) fn request(
        &self,
        cookie: Option<&str>,
        proxy: Option<&Proxy>,
    ) -> Result<Request<Full<Bytes>>, Cause> {
        let mut headers = HeaderMap::with_capacity(13);
        headers.insert(header::HOST, value(self.url.host_header())?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
        if let Some(body) = &self.body {
            headers.insert(header::CONTENT_LENGTH, body.len().into());
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let optional: [(HeaderName, Option<&str>); 2] = [
            (header::AUTHORIZATION, self.authorization.as_deref()),
            (header::COOKIE, cookie),
        ];
        for (name, text) in optional {
            if let Some(text) = text {
                headers.insert(name, value(text)?);
            }
        }
        if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization.clone())
            && !is_tls(&self.url)
        {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        headers.extend(self.webhook.iter().cloned());

        let mut request = Request::new(Full::new(self.body.clone().unwrap_or_default()));
        *request.method_mut() = self.method();
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn method(&self) -> Method {
        if self.body.is_some() {
            Method::POST
        } else {
            Method::GET
        }
    }
}

fn value(text: &str) -> Result<HeaderValue, Cause> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| Cause::BadHeader)
}

fn is_tls(url: &CallbackUrl) -> bool {
    url.scheme() == "https"
}

/// Returns the negation of requests' `should_strip_auth`.
fn may_share_credentials(from: &CallbackUrl, to: &CallbackUrl) -> bool {
    let upgraded = !is_tls(from) && from.port() == 80 && is_tls(to) && to.port() == 443;
    from.host() == to.host() && (upgraded || is_tls(from) == is_tls(to) && from.port() == to.port())
}
