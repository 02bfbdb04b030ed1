//! The worker and the tasks that run beside it: the health server and the writer of the audit log.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use celery_runtime::{
    BrokerUrl, Registry, Shutdown, Stage, Status, Worker, WorkerConfig, banner, hostname, nodename,
};
use jiff::ZonedDateTime;
use service_kit::admin;
use service_kit::background::Background;
use service_kit::program::block_on;
use service_kit::readiness::{Part, Readiness};
use service_kit::telemetry;
use tokio::sync::watch;

use super::log::log_to;
use super::pidfile::Pidfile;
use super::settings::Settings;
#[cfg(feature = "elasticsearch")]
use crate::audit_log::elasticsearch::ElasticsearchAuditLog;
use crate::audit_log::redis::RedisAuditLog;
use crate::audit_log::{AuditLog, NoAuditLog};
use crate::authorize::Authorizer;
use crate::cli::Cli;
use crate::config::{AuditLogConfig, Config};
use crate::{task, task_name};

/// Sets the process up and runs the worker on one thread: a task waits far more than it computes, and one thread that
/// does everything is cheaper than two that wake each other.
pub(super) fn start(cli: &Cli, settings: Settings) -> anyhow::Result<u8> {
    log_to(cli.logfile.as_deref(), settings.filter.clone())?;
    let pidfile = cli.pidfile.as_deref().map(Pidfile::write).transpose()?;
    let exit_code = block_on(serve(cli, settings));
    drop(pidfile);
    exit_code?
}

async fn serve(cli: &Cli, settings: Settings) -> anyhow::Result<u8> {
    let shutdown = Shutdown::on_signals(settings.remap_sigterm)?;
    let stop = shutdown.handle();
    let readiness = Readiness::new();
    let mut background = Background::new(&readiness);
    let health = service_kit::shutdown::GracefulShutdown::manual();
    admin::start(settings.admin.as_ref(), &readiness, &health, &mut background).await?;
    let mut audit_log = audit_log(&settings.task, readiness.part("audit log"))?;
    background.adopt("the audit log writer", audit_log.take_writer());
    let working = Box::pin(work(cli, &settings, audit_log, &readiness, shutdown));
    background.during(|| stop.warm(), working).await?
}

fn audit_log(config: &Config, part: Part) -> anyhow::Result<AuditLog> {
    Ok(match &config.audit_log {
        AuditLogConfig::None => {
            tracing::warn!("there is no audit log: neither ELASTICSEARCH_URL nor REDIS_HOST is set");
            AuditLog::new(NoAuditLog, part)
        }
        #[cfg(feature = "elasticsearch")]
        AuditLogConfig::Elasticsearch(elasticsearch) => {
            let sink = ElasticsearchAuditLog::new(elasticsearch)
                .context("cannot set up TLS for ELASTICSEARCH_URL")?;
            AuditLog::with_spool(sink, part, config.spool.spool()?)
        }
        AuditLogConfig::Redis { host, port } => {
            let sink = RedisAuditLog::new(host, *port)
                .context("REDIS_HOST and REDIS_PORT are not a valid Redis address")?;
            AuditLog::with_spool(sink, part, config.spool.spool()?)
        }
    })
}

async fn work(
    cli: &Cli,
    settings: &Settings,
    audit_log: AuditLog,
    readiness: &Readiness,
    mut shutdown: Shutdown,
) -> anyhow::Result<u8> {
    settings.task.outgoing.proxies.announce();
    let (acl, callbacks) = settings.task.clients()?;
    let authorizer = Arc::new(Authorizer::new(acl, callbacks, audit_log));
    let mut registry = Registry::new();
    task::register(&mut registry, authorizer);

    let config = worker_config(cli, settings.broker.clone());
    if !cli.quiet && cli.loglevel.shows_banner() {
        telemetry::say(banner(
            &config,
            &registry,
            task_name::APP,
            cli.loglevel.shows_tasks(),
            &ZonedDateTime::now(),
        ));
    }
    let worker = Worker::new(config, registry);
    if cli.purge {
        // A broker that does not answer must not keep the worker from stopping.
        let erased = tokio::select! {
            erased = worker.purge() => erased.context("cannot purge the queues")?,
            _stage = shutdown.reached(Stage::Warm) => return Ok(shutdown.exit_code()),
        };
        telemetry::say(format_args!(
            "purge: Erased {erased} messages from the queue.\n\n"
        ));
    }
    let (status, broker) = (worker.status(), readiness.part("broker"));
    tokio::select! {
        exit_code = worker.run(shutdown) => Ok(exit_code),
        () = follow(status, broker) => Ok(0),
    }
}

fn worker_config(cli: &Cli, broker: BrokerUrl) -> WorkerConfig {
    let defaults = WorkerConfig::new(broker, nodename(cli.hostname.as_deref(), &hostname()));
    WorkerConfig {
        queues: cli.queues(),
        concurrency: cli
            .concurrency
            .filter(|slots| *slots > 0)
            .unwrap_or(defaults.concurrency),
        prefetch_multiplier: cli
            .prefetch_multiplier
            .filter(|messages| *messages > 0)
            .unwrap_or(defaults.prefetch_multiplier),
        acks_late: !cli.acks_early,
        drain_timeout: Duration::from_secs(cli.drain_timeout),
        ..defaults
    }
}

/// Updates the readiness of the broker from its status, for as long as the worker runs.
async fn follow(mut status: watch::Receiver<Status>, broker: Part) {
    loop {
        match &*status.borrow_and_update() {
            Status::Consuming => broker.ready(),
            Status::Away(reason) | Status::Stalled(reason) => broker.not_ready(reason.clone()),
            Status::Stopping => broker.not_ready("stopping"),
        };
        if status.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
