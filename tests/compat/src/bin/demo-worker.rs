//! A worker on celery-runtime with the tasks of demo/opsapp.py. Its arguments are the broker URL, the node name, and, if
//! results are wanted, the queue and the result backend.

use std::process::ExitCode;
use std::time::Duration;

use celery_protocol::{Dict, Text, Value};
use celery_runtime::{
    BrokerUrl, CeleryFormat, Exception, Registry, Request, Shutdown, TaskError, TaskFields, TaskOptions,
    TaskResult, Worker, WorkerConfig,
};
use jiff::Timestamp;

#[expect(clippy::print_stderr, reason = "a test reads it")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [broker, nodename] => work(broker, nodename, None),
        [broker, nodename, queue, backend] => work(broker, nodename, Some((queue, backend))),
        _ => {
            eprintln!("usage: demo-worker BROKER_URL NODENAME [QUEUE RESULT_BACKEND]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("demo-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn work(
    broker: &str,
    nodename: &str,
    results: Option<(&String, &String)>,
) -> Result<u8, Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter("info,lapin=off")
        .with_writer(std::io::stderr)
        .event_format(CeleryFormat)
        .fmt_fields(TaskFields)
        .init();
    let broker: BrokerUrl = broker.parse()?;
    let mut config = WorkerConfig::new(broker, nodename);
    if let Some((queue, backend)) = results {
        config.queues = vec![queue.clone()];
        config.default_queue.clone_from(queue);
        config.result_backend = backend.parse()?;
    }
    let shutdown = Shutdown::on_signals(false)?;
    let worker = Worker::new(config, tasks());
    Ok(worker.run(shutdown).await)
}

fn tasks() -> Registry {
    let mut tasks = Registry::new();
    tasks.register(TaskOptions::named("demo.echo"), |request| async move {
        echo(&request)
    });
    tasks.register(
        TaskOptions::named("demo.add"),
        |request| async move { add(&request) },
    );
    tasks.register(TaskOptions::named("demo.fail"), |_| async {
        Err(TaskError::raised("ValueError", "no"))
    });
    tasks.register(TaskOptions::named("demo.told"), |request| async move {
        let (args, kwargs) = call(&request, "told")?;
        let told = args.first().or_else(|| kwargs.get("task_id")).cloned();
        told.ok_or_else(|| type_error("told() missing 1 required positional argument: 'task_id'"))
    });
    tasks.register(TaskOptions::named("demo.again"), |request| async move {
        let word = request.message().positional().and_then(<[Value]>::first).cloned();
        let word = word.unwrap_or(Value::None);
        let retries = request.message().retries;
        if retries == 0 {
            let retry = request.retry(Exception::new("KeyError", word.py_str()));
            // The delay ensures that the first run has stored its result before the second run stores its own, even on a
            // busy machine.
            return Err(retry.after(Duration::from_secs(1)).into());
        }
        Ok(Value::List(vec![word, Value::from(retries)]))
    });
    tasks.register(TaskOptions::named("demo.stamps"), |request| async move {
        let names = request.message().stamped_headers.iter();
        Ok(Value::List(names.cloned().map(Value::from).collect()))
    });
    tasks.register(TaskOptions::named("demo.due"), |request| async move {
        let eta = request.message().eta.map(|eta| eta.timestamp());
        Ok(Value::Bool(eta.is_some_and(|eta| eta <= Timestamp::now())))
    });
    tasks.register(TaskOptions::named("demo.retries"), |request| async move {
        Ok(Value::Int(request.message().retries))
    });
    tasks
}

fn echo(request: &Request) -> TaskResult {
    let (args, kwargs) = call(request, "echo")?;
    Ok(Value::List(vec![Value::Tuple(args), Value::Dict(kwargs)]))
}

fn add(request: &Request) -> TaskResult {
    let (args, kwargs) = call(request, "add")?;
    if let Some((name, _)) = kwargs.iter().find(|(name, _)| *name != *"x" && *name != *"y") {
        return Err(type_error(format!(
            "add() got an unexpected keyword argument '{name}'"
        )));
    }
    match (args.as_slice(), kwargs.get("x"), kwargs.get("y")) {
        ([x, y], None, None) | ([x], None, Some(y)) | ([], Some(x), Some(y)) => sum(x, y),
        ([], None, None) => Err(type_error(
            "add() missing 2 required positional arguments: 'x' and 'y'",
        )),
        ([], Some(_), None) | ([_], None, None) => {
            Err(type_error("add() missing 1 required positional argument: 'y'"))
        }
        ([], None, Some(_)) => Err(type_error("add() missing 1 required positional argument: 'x'")),
        ([_, _, _, ..], None, None) => Err(type_error(format!(
            "add() takes 2 positional arguments but {} were given",
            args.len()
        ))),
        _ => Err(type_error("add() got multiple values for argument")),
    }
}

fn sum(x: &Value, y: &Value) -> TaskResult {
    match (x, y) {
        (Value::Int(x), Value::Int(y)) => Ok(Value::Int(x + y)),
        _ => Err(type_error(format!(
            "unsupported operand type(s) for +: '{}' and '{}'",
            x.type_name(),
            y.type_name()
        ))),
    }
}

/// The arguments that CPython passes for `function(*args, **kwargs)`.
fn call(request: &Request, function: &str) -> Result<(Vec<Value>, Dict), TaskError> {
    let message = request.message();
    let args = match &message.args {
        Value::List(items) | Value::Tuple(items) => items.clone(),
        Value::Text(text) => text.code_points().map(character).collect(),
        Value::Dict(dict) => dict.iter().map(|(key, _)| Value::Text(key.clone())).collect(),
        other => {
            return Err(type_error(format!(
                "opsapp.{function}() argument after * must be an iterable, not {}",
                other.type_name()
            )));
        }
    };
    let kwargs = message.keywords().ok_or_else(|| {
        type_error(format!(
            "opsapp.{function}() argument after ** must be a mapping, not {}",
            message.kwargs.type_name()
        ))
    })?;
    Ok((args, kwargs.clone()))
}

fn character(code_point: u32) -> Value {
    Value::Text([code_point].into_iter().collect::<Text>())
}

fn type_error(message: impl Into<String>) -> TaskError {
    TaskError::raised("TypeError", message)
}
