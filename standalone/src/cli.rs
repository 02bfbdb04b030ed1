//! The command line.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use service_kit::{check, completions, env};

use crate::variables::variables;

/// The three services of the authorization stack in one process on one SQLite file; no server is needed.
#[derive(Debug, Parser)]
#[command(name = "standalone", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// What to do instead of running the services.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[arg(long, help = check::ABOUT)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) run: RunFlags,
}

/// The flags for running the services; the environment supplies the others.
#[derive(Debug, Default, Args)]
pub(crate) struct RunFlags {
    #[arg(
        long,
        help = "Address to listen on [env: STANDALONE_HOST] [default: 127.0.0.1]"
    )]
    pub(crate) host: Option<String>,
    #[arg(
        long,
        value_name = "PORT",
        help = "Port of the public API [env: STANDALONE_API_PORT] [default: 8080]"
    )]
    pub(crate) api_port: Option<u16>,
    #[arg(
        long,
        value_name = "PORT",
        help = "Port of the ACL service [env: AUTHORIZATION_SERVICE_PORT] [default: 5000]"
    )]
    pub(crate) acl_port: Option<u16>,
    #[command(flatten)]
    pub(crate) database: DatabaseFlag,
}

impl RunFlags {
    /// Returns flags for free ports, with all data in this file.
    pub(crate) fn on_free_ports(file: PathBuf) -> Self {
        Self {
            host: None,
            api_port: Some(0),
            acl_port: Some(0),
            database: DatabaseFlag { file: Some(file) },
        }
    }
}

/// The flag that selects the database.
#[derive(Debug, Default, Args)]
pub(crate) struct DatabaseFlag {
    #[arg(
        long = "database",
        value_name = "FILE",
        help = "File for all data [env: STANDALONE_DATABASE] [default: cp-auth.db]"
    )]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything on free ports and show each kind of authorization, from request to audit record.
    Demo,
    /// Receive callbacks: answer every request with 200 and print it.
    Receive {
        /// Address to listen on.
        #[arg(long, default_value = "127.0.0.1")]
        host: String,
        /// Port to listen on.
        #[arg(long, default_value_t = RECEIVER_PORT)]
        port: u16,
    },
    /// Print the audit log, the newest record last.
    Log {
        #[command(flatten)]
        database: DatabaseFlag,
        /// Maximum number of records.
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        last: u32,
    },
    /// Print the messages in the queue, and those that could not be run.
    Queue {
        #[command(flatten)]
        database: DatabaseFlag,
        /// Maximum number of messages.
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        first: u32,
    },
    #[command(about = completions::ABOUT)]
    Completions {
        /// The shell.
        #[arg(value_parser = PossibleValuesParser::new(completions::SHELLS))]
        shell: String,
    },
}

/// The port of `receive`, which is also the port of the example callbacks.
pub(crate) const RECEIVER_PORT: u16 = 9000;

impl Cli {
    /// Parses the command line of this process. Ends the process on `--help`, and with exit code 2 if the command line
    /// is invalid.
    pub(crate) fn of_process() -> Self {
        let help = env::help(&variables());
        let matches = Self::command().after_help(help).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_for_running_are_refused_with_another_command() {
        let cli = Cli::parse_from(["standalone", "--api-port", "1", "--database", "x.db"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.run.api_port, Some(1));
        assert!(Cli::try_parse_from(["standalone", "--api-port", "1", "demo"]).is_err());
        assert!(Cli::try_parse_from(["standalone", "demo", "--api-port", "1"]).is_err());
        assert!(Cli::try_parse_from(["standalone", "log", "--database", "x.db", "--last", "5"]).is_ok());
        assert!(Cli::try_parse_from(["standalone", "log", "--check"]).is_err());
    }

    #[test]
    fn flags_name_their_variable_and_their_default() {
        let help = Cli::command().render_help().to_string();
        for name in [
            "STANDALONE_HOST",
            "STANDALONE_API_PORT",
            "AUTHORIZATION_SERVICE_PORT",
            "STANDALONE_DATABASE",
        ] {
            let variables = variables();
            let variable = variables.iter().find(|variable| variable.name == name).unwrap();
            let text = format!("[env: {name}] [default: {}]", variable.default.unwrap());
            assert!(help.contains(&text), "{text} not in\n{help}");
        }
    }

    #[test]
    fn a_count_of_zero_is_refused() {
        for none in [["log", "--last", "0"], ["queue", "--first", "0"]] {
            assert!(Cli::try_parse_from([&["standalone"][..], &none].concat()).is_err());
        }
    }
}
