//! The worker as a program: from its command line and environment to its exit code.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use celery_runtime::{
    BrokerUrl, CeleryFormat, Registry, Shutdown, Status, TaskFields, Worker, WorkerConfig, banner, hostname,
    nodename,
};
use clap::FromArgMatches as _;
use explain::explain;
use jiff::ZonedDateTime;
use service_kit::admin::{self, ADMIN_ADDRESS, Part, Readiness};
use service_kit::background::Background;
use service_kit::check::{self, Check};
use service_kit::completions;
use service_kit::env::{self, BadEnvironment, Env, Variable};
use service_kit::healthcheck;
use service_kit::http::ListenAddress;
use service_kit::program::block_on;
use service_kit::telemetry::{self, LogWriter};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

#[cfg(feature = "elasticsearch")]
use crate::audit_log::elasticsearch::ElasticsearchAuditLog;
use crate::audit_log::redis::RedisAuditLog;
use crate::audit_log::{AuditLog, NoAuditLog};
use crate::authorize::Authorizer;
use crate::cli::Cli;
use crate::config::{self, AuditLogConfig, Config};
use crate::{looks, task, task_name};

const BROKER_URL: Variable = Variable {
    name: "BROKER_URL",
    default: Some("amqp://guest:guest@localhost:5672//"),
    meaning: "RabbitMQ, with user, password and virtual host; several, separated by `;`, are tried in turn",
};
const REMAP_SIGTERM: Variable = Variable {
    name: "REMAP_SIGTERM",
    default: None,
    meaning: "SIGQUIT: SIGTERM stops at once, as SIGQUIT does; any other value: without effect, as in Celery",
};
const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    default: None,
    meaning: "what the worker logs, per module, such as info,lapin=warn; unset: what --loglevel says",
};

/// Every variable that the program reads: the task's, and its own.
pub fn variables() -> Vec<Variable> {
    [
        config::VARIABLES,
        &[BROKER_URL, ADMIN_ADDRESS, REMAP_SIGTERM, RUST_LOG],
    ]
    .concat()
}

/// Exit code for a command line that is not understood, as clap's own.
const USAGE: u8 = 2;

/// Everything that was read from the environment.
struct Settings {
    broker: BrokerUrl,
    task: Config,
    admin: Option<ListenAddress>,
    remap_sigterm: bool,
    filter: EnvFilter,
}

/// The whole program.
pub fn main() -> ExitCode {
    let command = Cli::described().after_help(env::help(&variables()));
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    if let Some(exit_code) = other_words(&cli) {
        return exit_code;
    }
    let settings = match Settings::read(&Env::process(), &cli) {
        Ok(settings) => settings,
        Err(mistakes) => {
            telemetry::tell(format_args!("worker: {mistakes}"));
            return ExitCode::from(BadEnvironment::EXIT_CODE);
        }
    };
    let done = if cli.check {
        look(&cli, &settings)
    } else {
        start(&cli, settings).map(ExitCode::from)
    };
    done.unwrap_or_else(|error| {
        telemetry::tell(format_args!("worker: {}", explain(&*error)));
        ExitCode::FAILURE
    })
}

/// What is done instead of running, where the words ask for something else than `worker`.
fn other_words(cli: &Cli) -> Option<ExitCode> {
    let words: Vec<&str> = cli.words.iter().map(String::as_str).collect();
    match words[..] {
        [healthcheck::COMMAND] => return Some(healthcheck::main("worker", &Env::process())),
        [completions::COMMAND, shell] if completions::print(&mut Cli::described(), shell) => {
            return Some(ExitCode::SUCCESS);
        }
        [completions::COMMAND, ..] => {
            telemetry::tell(format_args!(
                "worker: the command is `worker completions` and one of {}",
                completions::SHELLS.join(", ")
            ));
            return Some(ExitCode::from(USAGE));
        }
        _ => {}
    }
    let word = cli.unknown_word()?;
    telemetry::tell(format_args!(
        "worker: there is no command `{word}`; the command line is `worker [OPTIONS] worker [OPTIONS]`, \
         `worker healthcheck` or `worker completions SHELL`"
    ));
    Some(ExitCode::from(USAGE))
}

/// Looks at everything that the worker would need, and prints what is found.
fn look(cli: &Cli, settings: &Settings) -> anyhow::Result<ExitCode> {
    change_directory(cli)?;
    let mut check = Check::new();
    let name = nodename(cli.hostname.as_deref(), &hostname());
    looks::brokers(&mut check, &settings.broker, &name, &cli.queues());
    looks::task(&mut check, &settings.task);
    looks::audit_log(&mut check, &settings.task);
    check.health(settings.admin.as_ref());
    if let Some(file) = &cli.logfile {
        looks::file(&mut check, "log file", Path::new(file));
    }
    if let Some(file) = &cli.pidfile {
        looks::file(&mut check, "pid file", file);
    }
    Ok(check::main("worker", check))
}

fn change_directory(cli: &Cli) -> anyhow::Result<()> {
    match &cli.workdir {
        Some(directory) => std::env::set_current_dir(directory)
            .with_context(|| format!("cannot change to the directory {}", directory.display())),
        None => Ok(()),
    }
}

impl Settings {
    fn read(env: &Env, cli: &Cli) -> Result<Self, BadEnvironment> {
        let mut reader = env.reader();
        let broker = cli.broker.clone().unwrap_or_else(|| reader.text(&BROKER_URL));
        let broker = broker.parse().unwrap_or_else(|error| {
            reader.mistake(&BROKER_URL, format!("is wrong: {error}"));
            BrokerUrl::default()
        });
        let settings = Self {
            broker,
            task: Config::read(&mut reader),
            admin: admin::read_address(&mut reader),
            remap_sigterm: reader
                .optional(&REMAP_SIGTERM)
                .is_some_and(|signal| signal == "SIGQUIT"),
            filter: reader
                .parse_optional(&RUST_LOG, "a level or a list of module=level")
                .unwrap_or_else(|| EnvFilter::new(cli.loglevel.filter())),
        };
        reader.finish()?;
        Ok(settings)
    }
}

/// Sets the process up and runs the worker on one thread: a task waits far more than it computes, and one thread
/// that does everything is cheaper than two that wake each other.
fn start(cli: &Cli, settings: Settings) -> anyhow::Result<u8> {
    change_directory(cli)?;
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
    let health = service_kit::shutdown::Shutdown::manual();
    admin::start(settings.admin.as_ref(), &readiness, &health, &mut background).await?;
    let mut audit_log = audit_log(&settings.task, readiness.part("audit log"))?;
    background.adopt("writing the audit log", audit_log.take_writer());
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
            let sink = RedisAuditLog::new(host, *port).context("REDIS_HOST and REDIS_PORT name no Redis")?;
            AuditLog::with_spool(sink, part, config.spool.spool()?)
        }
    })
}

async fn work(
    cli: &Cli,
    settings: &Settings,
    audit_log: AuditLog,
    readiness: &Readiness,
    shutdown: Shutdown,
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
        let erased = worker.purge().await.context("cannot purge the queues")?;
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

/// Readiness says what the worker says of its broker, for as long as it runs.
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

/// Celery's log lines, on standard error or in a file.
fn log_to(file: Option<&str>, filter: EnvFilter) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .event_format(CeleryFormat)
        .fmt_fields(TaskFields);
    // Fails only where a subscriber exists already.
    let _ = match file {
        None => {
            let subscriber = subscriber
                .with_writer(LogWriter::stderr(CeleryFormat::error))
                .finish();
            tracing::subscriber::set_global_default(subscriber.with(telemetry::no_wire()))
        }
        Some(path) => {
            let file: File = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("cannot write the log file {path}"))?;
            let subscriber = subscriber
                .with_writer(LogWriter::new(file, CeleryFormat::error))
                .finish();
            tracing::subscriber::set_global_default(subscriber.with(telemetry::no_wire()))
        }
    };
    Ok(())
}

/// A file with the process id, removed at the end.
struct Pidfile<'p>(&'p Path);

impl<'p> Pidfile<'p> {
    fn write(path: &'p Path) -> anyhow::Result<Self> {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .with_context(|| format!("cannot write the process id to {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Pidfile<'_> {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(self.0);
    }
}
