//! The other end of a callback: an HTTP server that records every request to the byte and answers as told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::eventually::eventually;
use crate::port::listen;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The request target, to the letter.
    pub target: String,
    /// All header lines in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
    /// When it was complete.
    pub at: Instant,
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status, extra header lines, body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// The same after a while.
    After(Duration, Box<Reply>),
    /// These bytes and the end of the connection.
    Raw(Vec<u8>),
    /// Nothing, with the connection open until the client gives up.
    Hang,
    /// The end of the connection without an answer.
    Close,
}

/// A server on 127.0.0.1 that lives until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<Received>>>,
    _tasks: JoinSet<()>,
}

type Rule = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

impl Reply {
    /// A status with an empty body.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }

    /// 200 with this JSON.
    pub fn json(body: &Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self::Answer(200, headers, body.to_string().into_bytes())
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Answer(
            status,
            vec![("Location".to_owned(), location.to_owned())],
            Vec::new(),
        )
    }

    /// What the path of a callback URL asks for: `/status/N` that status, `/slow/MS` 200 after that many
    /// milliseconds, `/hang` no answer, `/close` the end of the connection, `/redirect/N/REST` a redirect to
    /// `/REST`; any other path 200.
    pub fn by_path(request: &Received) -> Self {
        let path = request.path();
        let mut segments = path.trim_start_matches('/').splitn(3, '/');
        let (verb, first, rest) = (
            segments.next(),
            segments.next().unwrap_or_default(),
            segments.next(),
        );
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("no number in {path}"));
        match verb {
            Some("status") => Self::status(number(first)),
            Some("slow") => {
                let pause = Duration::from_millis(u64::from(number(first)));
                Self::After(pause, Box::new(Self::status(200)))
            }
            Some("hang") => Self::Hang,
            Some("close") => Self::Close,
            Some("redirect") => Self::redirect(number(first), &format!("/{}", rest.unwrap_or_default())),
            _ => Self::status(200),
        }
    }
}

impl Received {
    /// The target up to the query.
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

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// A text field of the JSON body, such as `status`; empty when there is none.
    pub fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }
}

impl Receiver {
    /// Starts a receiver that answers as [`Reply::by_path`] says.
    pub async fn start() -> Self {
        Self::start_with(Reply::by_path).await
    }

    /// Starts a server that answers as `rule` says, such as a stand-in for the ACL service.
    #[expect(
        clippy::unused_async,
        reason = "it needs the runtime, as the start of every other server here"
    )]
    pub async fn start_with(rule: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let (listener, port) = listen();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::new(rule), Arc::clone(&requests)));
        Self {
            port,
            requests,
            _tasks: tasks,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of `path_and_query`, which begins with a slash. The host is an address: the services refuse host
    /// names of one label.
    pub fn url(&self, path_and_query: &str) -> String {
        format!("http://127.0.0.1:{}{path_and_query}", self.port)
    }

    /// Every request so far, in the order in which they were complete.
    pub fn requests(&self) -> Vec<Received> {
        locked(&self.requests).clone()
    }

    /// How many requests there were.
    pub fn count(&self) -> usize {
        locked(&self.requests).len()
    }

    /// Forgets what came so far.
    pub fn clear(&self) {
        locked(&self.requests).clear();
    }

    /// Waits until `count` requests have come, and returns all there are.
    #[track_caller]
    pub fn wait_for(&self, count: usize, timeout: Duration) -> impl Future<Output = Vec<Received>> {
        eventually(format!("{count} callbacks"), timeout, move || async move {
            let requests = self.requests();
            if requests.len() < count {
                Err(format!("{} callbacks", requests.len()))
            } else {
                Ok(requests)
            }
        })
    }

    /// Waits for the first request whose JSON body names this station.
    #[track_caller]
    pub fn wait_for_station(&self, station: &str, timeout: Duration) -> impl Future<Output = Received> {
        eventually(
            format!("a callback for station {station}"),
            timeout,
            move || async move {
                let seen = self.by_station();
                let found = seen.get(station).and_then(|requests| requests.first()).cloned();
                found.ok_or_else(|| format!("callbacks for {} stations", seen.len()))
            },
        )
    }

    /// All requests with a JSON body, by its `station_id`.
    pub fn by_station(&self) -> HashMap<String, Vec<Received>> {
        let mut stations: HashMap<String, Vec<Received>> = HashMap::new();
        for request in self.requests() {
            let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
                continue;
            };
            let station = body["station_id"].as_str().unwrap_or_default().to_owned();
            stations.entry(station).or_default().push(request);
        }
        stations
    }
}

async fn serve(listener: TcpListener, rule: Rule, requests: Arc<Mutex<Vec<Received>>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(converse(stream, Arc::clone(&rule), Arc::clone(&requests)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request after the other until either side ends the connection.
async fn converse(stream: TcpStream, rule: Rule, requests: Arc<Mutex<Vec<Received>>>) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = read_request(&mut stream).await {
        let head_only = request.method == "HEAD";
        let reply = rule(&request);
        locked(&requests).push(request);
        if !answer(&mut stream, reply, head_only).await {
            return;
        }
    }
}

/// Whether the connection may be used for another request.
async fn answer(stream: &mut BufReader<TcpStream>, reply: Reply, head_only: bool) -> bool {
    let mut reply = reply;
    while let Reply::After(pause, then) = reply {
        tokio::time::sleep(pause).await;
        reply = *then;
    }
    match reply {
        Reply::Answer(status, headers, body) => {
            let mut lines = vec![
                format!("HTTP/1.1 {status} Status"),
                format!("Content-Length: {}", body.len()),
            ];
            lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
            let mut bytes = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
            if !head_only {
                bytes.extend(body);
            }
            stream.get_mut().write_all(&bytes).await.is_ok()
        }
        Reply::Raw(bytes) => {
            let _ = stream.get_mut().write_all(&bytes).await;
            let _ = stream.get_mut().shutdown().await;
            false
        }
        Reply::Hang => {
            // Ends when the client does.
            let _ = stream.read_u8().await;
            false
        }
        Reply::Close | Reply::After(..) => false,
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Received>> {
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

/// A line without its end; `None` at the end of the connection.
async fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if stream.read_until(b'\n', &mut bytes).await? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn locked(requests: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}
