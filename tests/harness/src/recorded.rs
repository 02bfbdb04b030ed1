//! Recordings of the Python services (tests/golden/*.jsonl): their rows, and the HTTP requests and answers in them.

use serde_json::Value;

/// The station in nearly every recorded request.
pub const STATION: &str = "a0b1c2d3-e4f5-4678-9abc-def012345678";

/// The lines of a file in tests/golden.
pub fn rows(file: &str) -> Vec<Value> {
    let path = format!("{}/../golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{path}: {error}: {line}")))
        .collect()
}

/// A text column of a row; empty if there is none.
pub fn text<'r>(row: &'r Value, name: &str) -> &'r str {
    row[name].as_str().unwrap_or_default()
}

/// The bytes behind a recorded text: `\xe9` stands for a byte that is not valid UTF-8.
pub fn bytes(recorded: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(recorded.len());
    let mut rest = recorded;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        match after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) if byte >= 0x80 => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.extend_from_slice(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// An answer, recorded or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code; `None` if this is not an HTTP/1 response.
    pub status: Option<u16>,
    /// The value of `Content-Type`.
    pub content_type: Option<String>,
    /// The methods in `Allow`, sorted: Flask's order varies.
    pub allow: Vec<String>,
    /// The value of `Location`.
    pub location: Option<String>,
    /// The value of `Retry-After`.
    pub retry_after: Option<String>,
    /// The value of `Content-Length`.
    pub content_length: Option<usize>,
    /// Everything after the head; bytes that are not valid UTF-8 become U+FFFD.
    pub body: String,
}

impl Answer {
    /// The answer recorded in the columns of a row.
    pub fn recorded(row: &Value) -> Self {
        let headers: Vec<&str> = row["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let status = row["status"].as_u64().map(status_code);
        Self::new(
            status,
            &headers,
            row["body"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// The last answer on a connection.
    pub fn received(bytes: &[u8]) -> Self {
        let answers = Self::all(bytes);
        let Some(answer) = answers.last() else {
            panic!("no answer in {bytes:?}")
        };
        answer.clone()
    }

    /// All answers on a connection, except for those with status 100 (Continue).
    pub fn all(bytes: &[u8]) -> Vec<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut rest = text.as_ref();
        let mut answers = Vec::new();
        while !rest.is_empty() {
            let (head, behind) = rest.split_once("\r\n\r\n").unwrap_or(("", rest));
            let mut lines = head.split("\r\n");
            let status = lines
                .next()
                .and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok());
            let mut answer = Self::new(status, &lines.collect::<Vec<_>>(), String::new());
            if answer.status == Some(100) {
                rest = behind;
                continue;
            }
            let length = answer.content_length.unwrap_or(behind.len()).min(behind.len());
            behind[..length].clone_into(&mut answer.body);
            rest = &behind[length..];
            answers.push(answer);
        }
        answers
    }

    fn new(status: Option<u16>, headers: &[&str], body: String) -> Self {
        let header = |wanted: &str| {
            let mut fields = headers.iter().filter_map(|line| line.split_once(": "));
            fields
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.to_owned())
        };
        let mut allow: Vec<String> = header("allow").map_or_else(Vec::new, |allow| methods(&allow));
        allow.sort();
        Self {
            status,
            content_type: header("content-type"),
            allow,
            location: header("location"),
            retry_after: header("retry-after"),
            content_length: header("content-length").and_then(|length| length.parse().ok()),
            body,
        }
    }

    /// The same answer with the error page replaced by our JSON error.
    #[must_use]
    pub fn with_json_error(&self, message: &str) -> Self {
        self.with_json(self.status, &serde_json::json!({ "error": message }))
    }

    /// The same answer with this JSON body.
    #[must_use]
    pub fn with_json(&self, status: Option<u16>, body: &Value) -> Self {
        let body = format!("{body}\n");
        Self {
            status,
            content_type: Some("application/json".to_owned()),
            content_length: Some(body.len()),
            body,
            ..self.clone()
        }
    }

    /// The same answer as for a HEAD request.
    #[must_use]
    pub fn without_body(&self) -> Self {
        Self {
            body: String::new(),
            ..self.clone()
        }
    }
}

fn status_code(status: u64) -> u16 {
    u16::try_from(status).unwrap_or_else(|_| panic!("{status} is no status code"))
}

/// The answer of the HTTP server itself, not the service, to a request that it cannot read.
pub fn refusal(status: u16) -> Answer {
    let mut answer = Answer::new(Some(status), &[], String::new());
    answer.content_length = Some(0);
    answer
}

/// The methods in a value of `Allow`.
pub fn methods(allow: &str) -> Vec<String> {
    allow.split(", ").map(str::to_owned).collect()
}
