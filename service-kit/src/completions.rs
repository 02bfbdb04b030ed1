//! `completions`: a script with which a shell completes the program's command line.

use std::io::{self, Write as _};

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command};
use clap_complete::Shell;

/// The subcommand's name.
pub const COMMAND: &str = "completions";

/// The help text of the subcommand.
pub const ABOUT: &str = "Prints a completion script for bash, zsh or fish";

/// The supported shells.
pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Returns the subcommand `completions SHELL`.
pub fn subcommand() -> Command {
    Command::new(COMMAND).about(ABOUT).arg(
        Arg::new("shell")
            .help("The shell")
            .value_name("SHELL")
            .required(true)
            .value_parser(PossibleValuesParser::new(SHELLS)),
    )
}

/// Prints the completion script for `command`. Returns whether there is one for this shell.
pub fn print(command: &mut Command, shell: &str) -> bool {
    let Some(script) = script(command, shell) else {
        return false;
    };
    // The reader may be gone.
    let _gone = io::stdout().write_all(&script);
    true
}

fn script(command: &mut Command, shell: &str) -> Option<Vec<u8>> {
    let shell: Shell = SHELLS.contains(&shell).then(|| shell.parse().ok()).flatten()?;
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, command, name, &mut script);
    Some(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_a_script_and_no_other_has() {
        let mut clock = Command::new("clock").arg(Arg::new("utc").long("utc"));
        for shell in SHELLS {
            let script = String::from_utf8(script(&mut clock, shell).unwrap()).unwrap();
            assert!(script.contains("clock") && script.contains("utc"), "{script}");
        }
        for shell in ["powershell", "sh", "", "BASH"] {
            assert_eq!(script(&mut clock, shell), None, "{shell}");
        }
    }
}
