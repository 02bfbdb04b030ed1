//! A request exactly as the receiver read it.

use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The request target, unchanged.
    pub target: String,
    /// All header lines in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
    /// The time at which the request was complete.
    pub at: Instant,
}

impl Received {
    /// The part of the target before the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a query parameter, as sent.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .filter_map(|field| field.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, v)| v)
    }

    /// The first header with this name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; panics if it is not valid JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// A text field of the JSON body, such as `status`; empty if there is no such field.
    pub fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }
}

/// Reads the next request; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Received>> {
    let Some(line) = read_line(stream).await? else {
        return Ok(None);
    };
    let mut words = line.splitn(3, ' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    while let Some(line) = read_line(stream).await?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Received {
        method,
        target,
        headers,
        body: Vec::new(),
        at: Instant::now(),
    };
    if request
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        while let Some(size) = read_line(stream).await? {
            let size =
                usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
            read_exact(stream, size, &mut request.body).await?;
            read_line(stream).await?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = request
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        read_exact(stream, length, &mut request.body).await?;
    }
    request.at = Instant::now();
    Ok(Some(request))
}

async fn read_exact(
    stream: &mut BufReader<TcpStream>,
    count: usize,
    into: &mut Vec<u8>,
) -> std::io::Result<()> {
    let start = into.len();
    into.resize(start + count, 0);
    stream.read_exact(&mut into[start..]).await.map(|_| ())
}

/// Reads a line, without its line ending; `None` at the end of the connection.
async fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if stream.read_until(b'\n', &mut bytes).await? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}
