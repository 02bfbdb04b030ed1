//! The command line of `celery … worker …` (contract F): a deployment replaces the program and keeps its arguments.

use clap::{ArgAction, Command, CommandFactory as _, Parser, ValueEnum};
use service_kit::check;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "worker",
    about = "Runs the Celery task authorization_worker.tasks.authorize; accepts the command line of `celery -A … worker …`",
    version,
    disable_version_flag = true
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of Celery's command line"
)]
pub(crate) struct Cli {
    /// Accepted without effect: the tasks are built in.
    #[arg(short = 'A', long)]
    pub(crate) app: Option<String>,
    /// Broker URL; overrides `BROKER_URL`.
    #[arg(short = 'b', long, value_name = "URL")]
    pub(crate) broker: Option<String>,
    /// Change to this directory first.
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<std::path::PathBuf>,
    /// Accepted without effect: log lines are never coloured.
    #[arg(short = 'C', long)]
    pub(crate) no_color: bool,
    /// Do not print the banner.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print the version.
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[arg(long, help = check::ABOUT)]
    pub(crate) check: bool,

    /// The word `worker`, and `name=value` settings, which are accepted and ignored. Alternatively, `healthcheck` alone
    /// requests /readyz of the running worker at `ADMIN_ADDRESS`, and `completions` with bash, zsh or fish prints a
    /// script that completes this command line.
    #[arg(value_name = "worker")]
    pub(crate) words: Vec<String>,

    /// Node name: NAME@HOST or HOST, with %h, %n and %d; the default is celery@%h.
    #[arg(short = 'n', long, env = "CELERY_WORKER_HOSTNAME", value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// Log level: DEBUG, INFO, WARNING, ERROR, CRITICAL or FATAL.
    #[arg(
        short = 'l',
        long,
        env = "CELERY_WORKER_LOGLEVEL",
        default_value = "WARNING",
        ignore_case = true,
        value_name = "LEVEL"
    )]
    pub(crate) loglevel: LogLevel,
    /// Log file; without it, the log goes to standard error.
    #[arg(short = 'f', long, env = "CELERY_WORKER_LOGFILE", value_name = "FILE")]
    pub(crate) logfile: Option<String>,
    /// File to write the process id to.
    #[arg(long, env = "CELERY_WORKER_PIDFILE", value_name = "FILE")]
    pub(crate) pidfile: Option<std::path::PathBuf>,
    /// Tasks at a time: a number or `auto`, the default, which means 100, because tasks wait more than they compute.
    #[arg(short, long, env = "CELERY_WORKER_CONCURRENCY", value_name = "N", value_parser = concurrency)]
    pub(crate) concurrency: Option<usize>,
    /// Prefetched messages per task slot; the default is 4.
    #[arg(long, env = "CELERY_WORKER_PREFETCH_MULTIPLIER", value_name = "N")]
    pub(crate) prefetch_multiplier: Option<usize>,
    /// Queues to consume from, separated by commas; the default is celery.
    #[arg(
        short = 'Q',
        long,
        env = "CELERY_WORKER_QUEUES",
        value_delimiter = ',',
        value_name = "QUEUES"
    )]
    pub(crate) queues: Vec<String>,
    /// Queues not to consume from, separated by commas.
    #[arg(
        short = 'X',
        long,
        env = "CELERY_WORKER_EXCLUDE_QUEUES",
        value_delimiter = ',',
        value_name = "QUEUES"
    )]
    pub(crate) exclude_queues: Vec<String>,
    /// Purge the queues at the start.
    #[arg(long, visible_alias = "discard", env = "CELERY_WORKER_PURGE")]
    pub(crate) purge: bool,
    /// Ack messages before their task runs, as Celery does by default. If the worker dies, those tasks are lost.
    #[arg(long)]
    pub(crate) acks_early: bool,
    /// Seconds for which running tasks may continue during a warm shutdown.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub(crate) drain_timeout: u64,

    /// Accepted without effect: tasks always run as async tasks of one process.
    #[arg(short = 'P', long, env = "CELERY_WORKER_POOL", value_name = "POOL")]
    pub(crate) pool: Option<String>,
    /// Accepted without effect: this version does not send task events.
    #[arg(
        short = 'E',
        long,
        visible_alias = "events",
        env = "CELERY_WORKER_TASK_EVENTS"
    )]
    pub(crate) task_events: bool,
    /// Accepted without effect: this version does not gossip.
    #[arg(long)]
    pub(crate) without_gossip: bool,
    /// Accepted without effect: this version does not mingle.
    #[arg(long)]
    pub(crate) without_mingle: bool,
    /// Accepted without effect: this version does not send heartbeat events.
    #[arg(long)]
    pub(crate) without_heartbeat: bool,
    /// Accepted without effect: see --without-heartbeat.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) heartbeat_interval: Option<f64>,
    /// Accepted without effect: a scheduling profile for Celery's own pools.
    #[arg(short = 'O', value_name = "PROFILE")]
    pub(crate) optimization: Option<String>,
    /// Accepted without effect: it concerns Redis brokers only.
    #[arg(long)]
    pub(crate) disable_prefetch: bool,
    /// Accepted without effect: there are no child processes to replace.
    #[arg(long, value_name = "N")]
    pub(crate) max_tasks_per_child: Option<u64>,
    /// Accepted without effect: there are no child processes to replace.
    #[arg(long, value_name = "KIB")]
    pub(crate) max_memory_per_child: Option<u64>,
}

/// Python's log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
    Fatal,
}

impl LogLevel {
    /// Returns the level as a filter for `tracing`. The AMQP library's own lines are left out because they repeat ours.
    pub(crate) fn filter(self) -> &'static str {
        match self {
            Self::Debug => "debug,lapin=off,async_rs=off",
            Self::Info => "info,lapin=off",
            Self::Warning => "warn,lapin=off",
            Self::Error | Self::Critical | Self::Fatal => "error,lapin=off",
        }
    }

    /// Returns whether the banner lists the tasks (contract E.6).
    pub(crate) fn shows_tasks(self) -> bool {
        matches!(self, Self::Debug | Self::Info)
    }

    /// Returns whether the banner is shown at all (contract E.6).
    pub(crate) fn shows_banner(self) -> bool {
        matches!(self, Self::Debug | Self::Info | Self::Warning)
    }
}

impl Cli {
    /// Returns the command line, whose help names environment variables but never shows their values.
    pub(crate) fn described() -> Command {
        Self::command().mut_args(|argument| argument.hide_env_values(true))
    }

    /// Returns the queues of `-Q`, or the default queue, without those of `-X`.
    pub(crate) fn queues(&self) -> Vec<String> {
        let named: Vec<&str> = self
            .queues
            .iter()
            .map(|queue| queue.trim())
            .filter(|q| !q.is_empty())
            .collect();
        let asked = if named.is_empty() { vec!["celery"] } else { named };
        let mut queues: Vec<String> = Vec::new();
        for queue in asked {
            let excluded = self
                .exclude_queues
                .iter()
                .any(|excluded| excluded.trim() == queue);
            if !excluded && !queues.iter().any(|known| known == queue) {
                queues.push(queue.to_owned());
            }
        }
        queues
    }

    /// Returns the first word that is neither `worker` nor a setting.
    pub(crate) fn unknown_word(&self) -> Option<&str> {
        self.words
            .iter()
            .map(String::as_str)
            .find(|word| *word != "worker" && !word.contains('='))
    }
}

/// Parses the concurrency. `0` and `auto` mean the default, as in Celery.
fn concurrency(text: &str) -> Result<usize, String> {
    if text == "auto" {
        return Ok(0);
    }
    text.parse()
        .map_err(|_| "expected a number of tasks or `auto`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_celerys_command_line() {
        let cli = Cli::parse_from(
            "worker -A authorization_worker.tasks worker -l info -c 4 -Q a,b,celery -X b -n w@%h -P threads -E \
             --without-gossip --without-mingle --without-heartbeat"
                .split_whitespace(),
        );
        assert_eq!(cli.loglevel, LogLevel::Info);
        assert_eq!(cli.concurrency, Some(4));
        assert_eq!(cli.queues(), ["a", "celery"]);
        assert_eq!(cli.hostname.as_deref(), Some("w@%h"));
        assert_eq!(cli.unknown_word(), None);
    }

    #[test]
    fn defaults_are_celerys_but_for_the_concurrency() {
        let cli = Cli::parse_from(["worker"]);
        assert_eq!(cli.loglevel, LogLevel::Warning);
        assert_eq!(cli.queues(), ["celery"]);
        assert_eq!(cli.concurrency, None);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(Cli::try_parse_from(["worker", "--no-such-flag"]).is_err());
        assert!(Cli::try_parse_from(["worker", "-c", "many"]).is_err());
        assert_eq!(Cli::parse_from(["worker", "beat"]).unknown_word(), Some("beat"));
    }
}
