//! The ACL service as a program.

use std::process::ExitCode;
use std::sync::Arc;

use service_kit::admin;
use service_kit::background::Background;
use service_kit::env::Env;
use service_kit::http::{self, AccessLog, Limits};
use service_kit::program::{Asked, Program};
use service_kit::readiness::Readiness;
use service_kit::shutdown::GracefulShutdown;
use service_kit::telemetry;

use crate::acl::router;
use crate::check::check;
use crate::config::{Config, VARIABLES};
use crate::path::ACCESS_LOG_PATH;
use crate::redis_allow_list::RedisAllowList;

const PROGRAM: Program = Program {
    name: "acl-service",
    about: "The ACL service: stores in Redis which driver may charge at which station",
    version: env!("CARGO_PKG_VERSION"),
    variables: VARIABLES,
};

/// Runs the whole program, from its command line to its exit code.
pub fn main() -> ExitCode {
    let asked = PROGRAM.parse_arguments();
    if let Asked::Done(exit_code) = asked {
        return exit_code;
    }
    match Config::read(&Env::process()) {
        Ok(config) if asked == Asked::Check => PROGRAM.check(check(&config)),
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
    let allow_list = RedisAllowList::new(&config.redis_host, config.redis_port)?;
    let (watched, redis) = (allow_list.clone(), readiness.part("redis"));
    background.spawn("the watch on Redis", async move { watched.watch(redis).await });
    tracing::info!("ACL service on http://{}", listener.local_addr()?);
    let serving = http::serve_logging(
        listener,
        router(Arc::new(allow_list)),
        Limits::default(),
        access_log,
        shutdown.clone(),
    );
    Ok(background.during(|| shutdown.warm.cancel(), serving).await?)
}
