//! The public API as a program.

use std::process::ExitCode;
use std::time::Duration;

use celery_runtime::{Producer, ProducerConfig};
use service_kit::admin;
use service_kit::background::Background;
use service_kit::env::Env;
use service_kit::http::{self, AccessLog, Limits};
use service_kit::program::{Asked, Program};
use service_kit::readiness::Readiness;
use service_kit::shutdown::GracefulShutdown;
use service_kit::telemetry;

use crate::amqp_queue::AmqpQueue;
use crate::authorize::{Authorize, router};
use crate::check::check;
use crate::config::{Config, VARIABLES};
use crate::path::ACCESS_LOG_PATH;

const PROGRAM: Program = Program {
    name: "public-api",
    about: "The public API: accepts requests to charge and puts them on the task queue in RabbitMQ",
    version: env!("CARGO_PKG_VERSION"),
    variables: VARIABLES,
};

/// The queue that Celery workers consume unless told otherwise.
const QUEUE: &str = "celery";

/// How long a caller waits for the broker before a 503.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(3);

/// Runs the whole program, from its command line to its exit code.
pub fn main() -> ExitCode {
    let asked = PROGRAM.parse_arguments();
    if let Asked::Done(exit_code) = asked {
        return exit_code;
    }
    match Config::read(&Env::process()) {
        Ok(config) if asked == Asked::Check => PROGRAM.check(check(&config, PROGRAM.name, QUEUE)),
        Ok(config) => PROGRAM.run(serve(config)),
        Err(mistakes) => PROGRAM.misconfigured(&mistakes),
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::init(config.log);
    let access_log = AccessLog::new(config.access_log, ACCESS_LOG_PATH);
    let readiness = Readiness::new();
    let mut background = Background::new(&readiness);
    let shutdown = GracefulShutdown::on_signals(&mut background)?;
    let listener = config.listen.bind().await?;
    admin::start(config.admin.as_ref(), &readiness, &shutdown, &mut background).await?;
    let producer = Producer::start(ProducerConfig {
        broker: config.broker,
        queue: QUEUE.to_owned(),
        deadline: PUBLISH_DEADLINE,
        name: PROGRAM.name.to_owned(),
    });
    let (watched, broker) = (producer.clone(), readiness.part("broker"));
    background.spawn("the watch on the broker", async move {
        watched
            .watch(|trouble| {
                match trouble {
                    None => broker.ready(),
                    Some(trouble) => broker.not_ready(trouble),
                };
            })
            .await;
    });
    tracing::info!("public API on http://{}", listener.local_addr()?);
    let authorize = Authorize {
        queue: AmqpQueue {
            producer: producer.clone(),
        },
        sender: celery_runtime::sender().clone(),
        timeout: config.authorization_timeout,
    };
    let serving = http::serve_logging(
        listener,
        router(authorize),
        Limits::default(),
        access_log,
        shutdown.clone(),
    );
    let outcome = background.during(|| shutdown.warm.cancel(), serving).await;
    // A broker that hangs must not delay the exit; confirmed messages are in its queue.
    tokio::select! {
        () = producer.close() => {}
        () = shutdown.drain_limit() => tracing::warn!("exiting with the connection to the broker still open"),
    }
    Ok(outcome?)
}
