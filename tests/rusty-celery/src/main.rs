//! The other Rust implementation of Celery, as producer and as worker, with tasks of
//! tests/compat/demo/opsapp.py.
//!
//! `rusty-celery-demo produce BROKER_URL QUEUE` sends every case and prints a line `case<TAB>task id` for each;
//! `rusty-celery-demo work BROKER_URL QUEUE` prints a line for each task that it runs.

use std::process::ExitCode;
use std::time::Duration;

use celery::prelude::*;
use celery::task::Signature;

#[celery::task(name = "demo.add")]
fn add(x: i64, y: i64) -> TaskResult<i64> {
    println!("add {x} {y}");
    Ok(x + y)
}

#[celery::task(name = "demo.due")]
fn due() -> TaskResult<()> {
    println!("due");
    Ok(())
}

#[celery::task(name = "demo.told")]
fn told(task_id: String) -> TaskResult<String> {
    println!("told {task_id}");
    Ok(task_id)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, broker, queue] = arguments.as_slice() else {
        eprintln!("usage: rusty-celery-demo produce|work BROKER_URL QUEUE");
        return ExitCode::from(2);
    };
    let done = match what.as_str() {
        "produce" => produce(broker, queue).await,
        "work" => work(broker, queue).await,
        _ => return ExitCode::from(2),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rusty-celery-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn produce(broker: &str, queue: &str) -> Result<(), CeleryError> {
    let app = celery::app!(
        broker = AMQPBroker { broker.to_owned() },
        tasks = [add, due, told],
        task_routes = ["*" => queue],
    )
    .await?;
    let day = 86_400;
    for (case, signature) in [
        ("numbers", add::new(1, 2)),
        ("negative numbers", add::new(-4, 1)),
        ("not yet expired", Signature::with_expires_in(add::new(1, 2), day)),
    ] {
        println!("{case}\t{}", app.send_task(signature).await?.task_id);
    }
    let told = told::new("é\u{2028}😀".to_owned());
    println!("text\t{}", app.send_task(told).await?.task_id);
    let due = due::new().with_countdown(1);
    println!("countdown\t{}", app.send_task(due).await?.task_id);
    app.close().await
}

async fn work(broker: &str, queue: &str) -> Result<(), CeleryError> {
    let app = celery::app!(
        broker = AMQPBroker { broker.to_owned() },
        tasks = [add, due, told],
        task_routes = ["*" => queue],
        prefetch_count = 10,
    )
    .await?;
    println!("ready");
    tokio::time::timeout(Duration::from_secs(3600), app.consume_from(&[queue]))
        .await
        .unwrap_or(Ok(()))
}
