//! Erlang expressions, evaluated inside a private broker: exact, and a thousand times faster than `rabbitmqctl`.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The number of calls that this process has made so far.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// A broker's Erlang node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// `name@localhost`.
    pub(crate) name: String,
    /// The port of the Erlang distribution.
    pub(crate) port: u16,
    /// The secret of the Erlang distribution.
    pub(crate) cookie: String,
}

impl Node {
    /// Evaluates `expressions` and returns the value of the last one, which `rabbit_json` must be able to encode.
    pub(crate) async fn eval(&self, expressions: &str) -> anyhow::Result<Value> {
        let script = format!(
            "HarnessResult = begin {expressions} end, io:format(\"~s~n\", [rabbit_json:encode(HarnessResult)]).\n"
        );
        let mut call = Command::new("erl_call")
            .args([
                "-address",
                &format!("127.0.0.1:{}", self.port),
                "-c",
                &self.cookie,
                // Each call uses a unique name: a node refuses a second connection from a name it already holds, such as
                // that of a concurrent call.
                "-h",
                &format!(
                    "harness{}x{}",
                    std::process::id(),
                    CALLS.fetch_add(1, Ordering::Relaxed)
                ),
                "-fetch_stdout",
                "-e",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start erl_call{}", crate::SETUP))?;
        let mut input = call.stdin.take().context("erl_call without input")?;
        input.write_all(script.as_bytes()).await?;
        drop(input);
        let output = call.wait_with_output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        match text.strip_suffix("{ok, ok}") {
            Some(json) => Ok(serde_json::from_str(json)?),
            None => bail!(
                "the broker could not evaluate: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }
}

/// A binary literal of these bytes.
pub(crate) fn binary(bytes: impl AsRef<[u8]>) -> String {
    let bytes: Vec<String> = bytes.as_ref().iter().map(u8::to_string).collect();
    format!("<<{}>>", bytes.join(","))
}

/// An AMQP field, type and value, typed as a Python client would type it: integers of up to 32 bits as signed 32-bit,
/// longer ones as 64-bit, floats as double.
pub(crate) fn field(value: &Value) -> String {
    match value {
        Value::Null => "void,undefined".to_owned(),
        Value::Bool(value) => format!("bool,{value}"),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if i32::try_from(integer).is_ok() => format!("signedint,{integer}"),
            Some(integer) => format!("long,{integer}"),
            None => format!("double,{:?}", number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => format!("longstr,{}", binary(text)),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| format!("{{{}}}", field(item))).collect();
            format!("array,[{}]", items.join(","))
        }
        Value::Object(_) => format!("table,{}", table(value)),
    }
}

/// An AMQP table; a value that is not a JSON object becomes an empty table.
pub(crate) fn table(value: &Value) -> String {
    let entries = value.as_object().into_iter().flatten();
    let entries: Vec<String> = entries
        .map(|(name, value)| format!("{{{},{}}}", binary(name), field(value)))
        .collect();
    format!("[{}]", entries.join(","))
}
