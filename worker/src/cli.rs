//! The command line of `celery … worker …` (contract F): a deployment swaps the program, not its arguments.

use clap::{ArgAction, Command, CommandFactory as _, Parser, ValueEnum};
use service_kit::check;

/// Flags and options.
#[derive(Debug, Parser)]
#[command(
    name = "worker",
    about = "Runs the Celery task authorization_worker.tasks.authorize; takes the command line of `celery -A … worker …`",
    version,
    disable_version_flag = true
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of Celery's command line"
)]
pub(crate) struct Cli {
    /// Accepted for Celery's command line; the tasks are built in.
    #[arg(short = 'A', long)]
    pub(crate) app: Option<String>,
    /// Broker URL; overrides `BROKER_URL`.
    #[arg(short = 'b', long, value_name = "URL")]
    pub(crate) broker: Option<String>,
    /// Directory to change to first.
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<std::path::PathBuf>,
    /// Accepted: log lines are never coloured.
    #[arg(short = 'C', long)]
    pub(crate) no_color: bool,
    /// No banner.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print the version.
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[arg(long, help = check::ABOUT)]
    pub(crate) check: bool,

    /// The word `worker`, and `name=value` settings, which are accepted and ignored. Or `healthcheck` alone: asks the
    /// /readyz of the running worker at `ADMIN_ADDRESS`. Or `completions` and bash, zsh or fish: prints a script that
    /// completes this command line.
    #[arg(value_name = "worker")]
    pub(crate) words: Vec<String>,

    /// Node name: NAME@HOST or HOST, with %h, %n and %d; the default is celery@%h.
    #[arg(short = 'n', long, env = "CELERY_WORKER_HOSTNAME", value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// DEBUG, INFO, WARNING, ERROR, CRITICAL or FATAL.
    #[arg(
        short = 'l',
        long,
        env = "CELERY_WORKER_LOGLEVEL",
        default_value = "WARNING",
        ignore_case = true,
        value_name = "LEVEL"
    )]
    pub(crate) loglevel: LogLevel,
    /// Log file; without it the log goes to standard error.
    #[arg(short = 'f', long, env = "CELERY_WORKER_LOGFILE", value_name = "FILE")]
    pub(crate) logfile: Option<String>,
    /// File to write the process id to.
    #[arg(long, env = "CELERY_WORKER_PIDFILE", value_name = "FILE")]
    pub(crate) pidfile: Option<std::path::PathBuf>,
    /// Tasks at a time: a number or `auto`, which is the default and means 100: tasks wait more than they compute.
    #[arg(short, long, env = "CELERY_WORKER_CONCURRENCY", value_name = "N", value_parser = concurrency)]
    pub(crate) concurrency: Option<usize>,
    /// Messages taken in advance per task slot; the default is 4.
    #[arg(long, env = "CELERY_WORKER_PREFETCH_MULTIPLIER", value_name = "N")]
    pub(crate) prefetch_multiplier: Option<usize>,
    /// Queues to consume from, comma separated; the default is celery.
    #[arg(
        short = 'Q',
        long,
        env = "CELERY_WORKER_QUEUES",
        value_delimiter = ',',
        value_name = "QUEUES"
    )]
    pub(crate) queues: Vec<String>,
    /// Queues not to consume from, comma separated.
    #[arg(
        short = 'X',
        long,
        env = "CELERY_WORKER_EXCLUDE_QUEUES",
        value_delimiter = ',',
        value_name = "QUEUES"
    )]
    pub(crate) exclude_queues: Vec<String>,
    /// Empty the queues before the start.
    #[arg(long, visible_alias = "discard", env = "CELERY_WORKER_PURGE")]
    pub(crate) purge: bool,
    /// Ack messages before their task runs, as Celery does by default. A worker that dies then loses them.
    #[arg(long)]
    pub(crate) acks_early: bool,
    /// Seconds that running tasks may go on after a warm shutdown began.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub(crate) drain_timeout: u64,

    /// Accepted: tasks run as async tasks of one process, whatever the pool.
    #[arg(short = 'P', long, env = "CELERY_WORKER_POOL", value_name = "POOL")]
    pub(crate) pool: Option<String>,
    /// Accepted; task events are not sent by this version.
    #[arg(
        short = 'E',
        long,
        visible_alias = "events",
        env = "CELERY_WORKER_TASK_EVENTS"
    )]
    pub(crate) task_events: bool,
    /// Accepted; this version does not gossip.
    #[arg(long)]
    pub(crate) without_gossip: bool,
    /// Accepted; this version does not mingle.
    #[arg(long)]
    pub(crate) without_mingle: bool,
    /// Accepted; this version sends no heartbeat events.
    #[arg(long)]
    pub(crate) without_heartbeat: bool,
    /// Accepted; see --without-heartbeat.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) heartbeat_interval: Option<f64>,
    /// Accepted: a scheduling profile of Celery's own pools.
    #[arg(short = 'O', value_name = "PROFILE")]
    pub(crate) optimization: Option<String>,
    /// Accepted: for Redis brokers only.
    #[arg(long)]
    pub(crate) disable_prefetch: bool,
    /// Accepted: there are no child processes to replace.
    #[arg(long, value_name = "N")]
    pub(crate) max_tasks_per_child: Option<u64>,
    /// Accepted: there are no child processes to replace.
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
    /// The same as a filter of `tracing`. The AMQP library's own lines say again what ours say.
    pub(crate) fn filter(self) -> &'static str {
        match self {
            Self::Debug => "debug,lapin=off,async_rs=off",
            Self::Info => "info,lapin=off",
            Self::Warning => "warn,lapin=off",
            Self::Error | Self::Critical | Self::Fatal => "error,lapin=off",
        }
    }

    /// Whether the banner lists the tasks (contract E.6).
    pub(crate) fn shows_tasks(self) -> bool {
        matches!(self, Self::Debug | Self::Info)
    }

    /// Whether the banner is shown at all (contract E.6).
    pub(crate) fn shows_banner(self) -> bool {
        matches!(self, Self::Debug | Self::Info | Self::Warning)
    }
}

impl Cli {
    /// The command line, whose help names environment variables and never shows their values.
    pub(crate) fn described() -> Command {
        Self::command().mut_args(|argument| argument.hide_env_values(true))
    }

    /// The queues that `-Q` and `-X` leave; without `-Q` the default queue.
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

    /// The word that is neither `worker` nor a setting.
    pub(crate) fn unknown_word(&self) -> Option<&str> {
        self.words
            .iter()
            .map(String::as_str)
            .find(|word| *word != "worker" && !word.contains('='))
    }
}

/// `0` and `auto` stand for the default, as Celery reads them.
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
