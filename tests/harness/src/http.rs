//! An HTTP client for tests: each request uses a new connection, so that hundreds can run at once.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest time that a test's request may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// A response as it was received.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header with this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics if it is not valid JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} {:?}",
            self.status,
            self.headers,
            String::from_utf8_lossy(&self.body)
        )
    }
}

/// Sends a GET request; panics if no answer arrives.
pub async fn get(url: &str) -> Response {
    send("GET", url, &[], Vec::new()).await
}

/// Sends a PUT request without a body; panics if no answer arrives.
pub async fn put(url: &str) -> Response {
    send("PUT", url, &[], Vec::new()).await
}

/// Sends a DELETE request; panics if no answer arrives.
pub async fn delete(url: &str) -> Response {
    send("DELETE", url, &[], Vec::new()).await
}

/// Sends a POST request with this body; panics if no answer arrives.
pub async fn post(url: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
    send("POST", url, &[("content-type", content_type)], body).await
}

/// Sends a POST request with a JSON body; panics if no answer arrives.
pub async fn post_json(url: &str, body: &serde_json::Value) -> Response {
    post(url, "application/json", body.to_string()).await
}

/// Sends any request; panics if no answer arrives.
pub async fn send(method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Response {
    match try_send(method, url, headers, body).await {
        Ok(response) => response,
        Err(error) => panic!("{method} {url}: {error:#}"),
    }
}

/// Sends any request. Fails if the server cannot be reached or does not answer within a minute.
pub async fn try_send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> anyhow::Result<Response> {
    let uri: Uri = url.parse().context("no URL")?;
    let authority = uri.authority().context("URL without a host")?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes())?)
        .uri(target)
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "close");
    for &(name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body.into())))?;
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    tokio::time::timeout(DEADLINE, exchange(&address, request))
        .await
        .map_err(|_| anyhow!("no answer within {DEADLINE:?}"))?
}

async fn exchange(address: &str, request: Request<Full<Bytes>>) -> anyhow::Result<Response> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        drop(sender);
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        anyhow::Ok((head, body))
    };
    // The connection may fail after the answer is complete; only the answer matters.
    let (_, answer) = tokio::join!(connection, answer);
    let (head, body) = answer?;
    let headers = head.headers.iter();
    Ok(Response {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body,
    })
}

/// Sends bytes unchanged and returns everything received until the server closes the connection.
pub async fn raw(address: &str, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    let talk = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    };
    tokio::time::timeout(DEADLINE, talk)
        .await
        .map_err(|_| anyhow!("no answer within {DEADLINE:?}"))?
}
