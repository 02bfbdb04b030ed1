//! The settings that the program reads from the environment and the command line.

use celery_runtime::BrokerUrl;
use service_kit::admin::{self, ADMIN_ADDRESS};
use service_kit::env::{BadEnvironment, Env, Variable};
use service_kit::http::ListenAddress;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;
use crate::config::{self, Config};

const BROKER_URL: Variable = Variable {
    name: "BROKER_URL",
    default: Some("amqp://guest:guest@localhost:5672//"),
    meaning: "RabbitMQ with user, password and virtual host; several URLs, separated by `;`, are tried in turn",
};
const REMAP_SIGTERM: Variable = Variable {
    name: "REMAP_SIGTERM",
    default: None,
    meaning: "if set to SIGQUIT, SIGTERM stops at once, as SIGQUIT does; other values have no effect, as in Celery",
};
const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    default: None,
    meaning: "what to log, per module, such as info,lapin=warn; if unset, --loglevel applies",
};

/// Returns every variable that the program reads: those of the task, and its own.
pub fn variables() -> Vec<Variable> {
    [
        config::VARIABLES,
        &[BROKER_URL, ADMIN_ADDRESS, REMAP_SIGTERM, RUST_LOG],
    ]
    .concat()
}

/// The settings of the program.
pub(super) struct Settings {
    pub(super) broker: BrokerUrl,
    pub(super) task: Config,
    pub(super) admin: Option<ListenAddress>,
    pub(super) remap_sigterm: bool,
    pub(super) filter: EnvFilter,
}

impl Settings {
    pub(super) fn read(env: &Env, cli: &Cli) -> Result<Self, BadEnvironment> {
        let mut reader = env.reader();
        let broker = cli.broker.clone().unwrap_or_else(|| reader.text(&BROKER_URL));
        let broker = broker.parse().unwrap_or_else(|error| {
            reader.mistake(&BROKER_URL, format!("is not valid: {error}"));
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
