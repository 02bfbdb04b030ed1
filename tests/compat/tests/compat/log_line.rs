//! A line of a worker's log.

use std::fmt;

/// The first line of a log record; what differs from run to run is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLine {
    pub(crate) level: String,
    pub(crate) text: String,
}

impl LogLine {
    pub(crate) fn new(level: &str, text: &str) -> Self {
        Self {
            level: level.to_owned(),
            text: masked(text),
        }
    }

    /// Parses a line that a worker wrote: `[2026-11-22 10:06:31,510: INFO/MainProcess] text`. Returns `None` for the
    /// further lines of a record.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (head, text) = line.strip_prefix('[')?.split_once("] ")?;
        let (_time, origin) = head.split_once(": ")?;
        let (level, _process) = origin.split_once('/')?;
        Some(Self::new(level, text))
    }

    /// Parses a line as it was recorded: `INFO/MainProcess: text`.
    pub(crate) fn recorded(line: &str) -> Self {
        let parsed = line
            .split_once('/')
            .and_then(|(level, rest)| Some((level, rest.split_once(": ")?.1)));
        let (level, text) = parsed.unwrap_or_else(|| panic!("no recorded log line: {line}"));
        Self::new(level, text)
    }

    /// The same line as written by a worker that keeps the arguments of tasks out of its log because they may be secret.
    pub(crate) fn without_arguments(&self) -> Self {
        let mut text = self.text.clone();
        for (shown, hidden) in [
            ("argsrepr': '()'", "argsrepr': '...'"),
            ("kwargsrepr': '{}'", "kwargsrepr': '...'"),
            ("'__value__': 1}", "'__value__': ...}"),
            (r#"b'[["\xff"], {}, {}]'"#, "b'...'"),
        ] {
            text = text.replace(shown, hidden);
        }
        Self {
            level: self.level.clone(),
            text,
        }
    }

    /// Whether the line is caused by other workers rather than by a message.
    pub(crate) fn is_gossip(&self) -> bool {
        self.text.starts_with("sync with ")
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level, self.text)
    }
}

/// The text without run times, paths of Python's modules and the order of headers, which a message table does not keep.
fn masked(text: &str) -> String {
    if let Some((task, rest)) = text.split_once(" succeeded in ")
        && let Some((_seconds, result)) = rest.split_once("s: ")
    {
        return format!("{task} succeeded in …s: {result}");
    }
    if let Some(at) = text.find("RuntimeWarning: ") {
        return text[at..].to_owned();
    }
    if let Some((what, headers)) = text.split_once(" headers:{") {
        let mut headers: Vec<&str> = headers.trim_end_matches("}]").split(", '").collect();
        for header in &mut headers {
            *header = header.trim_start_matches('\'');
        }
        headers.sort_unstable();
        return format!("{what} headers:{{{}}}]", headers.join(", '"));
    }
    text.to_owned()
}

#[test]
fn lines_compare_whoever_wrote_them() {
    let line = "[2026-11-22 10:06:31,510: INFO/ForkPoolWorker-1] Task a[b] succeeded in 3.5e-05s: 's: '";
    let recorded = "INFO/ForkPoolWorker: Task a[b] succeeded in 0.1s: 's: '";
    assert_eq!(LogLine::parse(line), Some(LogLine::recorded(recorded)));
    assert_eq!(LogLine::parse("Traceback (most recent call last):"), None);
    let headers = |text| LogLine::new("CRITICAL", text);
    assert_eq!(
        headers("Can't [type:'x' headers:{'a': 1, 'b': 2}]"),
        headers("Can't [type:'x' headers:{'b': 2, 'a': 1}]")
    );
    assert_ne!(
        headers("Can't [type:'x' headers:{'a': 1}]"),
        headers("Can't [type:'x' headers:{'a': 2}]")
    );
}
