//! `--check`: checks, before a program starts, possibly in place of another, whether everything that it needs can be
//! reached.

use std::io::{self, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::http::ListenAddress;
use crate::reach::reach;
use crate::telemetry;

/// The flag, without its dashes.
pub const FLAG: &str = "check";

/// The help text of the flag.
pub const ABOUT: &str = "Check everything that is configured, print one line for each part, and exit: code 0 if all is well, else 1. Starts and changes nothing";

/// The time limit for each part.
const BOUND: Duration = Duration::from_secs(5);

/// The result of a check: details on a part that works (may be empty), or what is wrong and what to do.
pub type Found = Result<String, String>;

/// Everything to be checked, in the order of the lines.
#[derive(Default)]
pub struct Check {
    looks: Vec<Look>,
}

struct Look {
    at: String,
    found: Pin<Box<dyn Future<Output = Found> + Send>>,
}

impl Check {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part whose line begins with `at`. The check must leave nothing behind, even if it is cancelled after
    /// five seconds.
    pub fn look(&mut self, at: impl Into<String>, found: impl Future<Output = Found> + Send + 'static) {
        self.looks.push(Look {
            at: at.into(),
            found: Box::pin(found),
        });
    }

    /// Adds an address to listen on. `variables` names the variables that configure it.
    pub fn listening(&mut self, of: &str, address: &ListenAddress, variables: &'static str) {
        let address = address.clone();
        self.look(format!("{of} on {address}"), async move {
            match address.bind().await {
                Ok(_listener) => Ok("is free to listen on".to_owned()),
                Err(error) if error.is_in_use() => Err(format!(
                    "the port is in use, as it is while the service to be replaced runs; stop whatever has it, or set \
                     {variables}"
                )),
                Err(error) => Err(format!("{}; set {variables}", error.reason())),
            }
        });
    }

    /// Adds the health address, if there is one.
    pub fn health(&mut self, address: Option<&ListenAddress>) {
        if let Some(address) = address {
            self.listening("health", address, crate::admin::ADMIN_ADDRESS.name);
        }
    }

    /// Adds a server for which it is enough that it accepts connections.
    pub fn server(&mut self, at: impl Into<String>, host: &str, port: u16, advice: &'static str) {
        let host = host.to_owned();
        self.look(at, async move {
            match reach(&host, port).await {
                Ok(_connection) => Ok("accepts connections".to_owned()),
                Err(why) => Err(format!("{why}; {advice}")),
            }
        });
    }

    /// Checks all parts concurrently. Returns whether all is well, and the lines.
    async fn lines(self) -> (bool, Vec<String>) {
        let mut looking = JoinSet::new();
        let mut found: Vec<(String, Found)> = Vec::new();
        for (place, look) in self.looks.into_iter().enumerate() {
            found.push((
                look.at,
                Err("the check of this part failed unexpectedly".to_owned()),
            ));
            looking.spawn(async move { (place, timeout(BOUND, look.found).await) });
        }
        while let Some(looked) = looking.join_next().await {
            if let Ok((place, looked)) = looked {
                found[place].1 =
                    looked.unwrap_or_else(|_elapsed| Err(format!("no answer within {} s", BOUND.as_secs())));
            }
        }
        let all_well = found.iter().all(|(_, found)| found.is_ok());
        (
            all_well,
            found.iter().map(|(at, found)| line(at, found)).collect(),
        )
    }
}

fn line(at: &str, found: &Found) -> String {
    match found {
        Ok(detail) if detail.is_empty() => format!("ok      {at}"),
        Ok(detail) => format!("ok      {at} ({detail})"),
        Err(why) => format!("FAILED  {at}: {why}"),
    }
}

/// Checks everything and prints one line per part on standard output. Exit code 0 if all is well, else 1.
pub fn main(name: &str, check: Check) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            telemetry::tell(format_args!("{name}: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let (all_well, lines) = runtime.block_on(check.lines());
    // A name lookup that hangs on its own thread must not delay the exit.
    runtime.shutdown_background();
    let mut stdout = io::stdout().lock();
    for line in lines {
        // The reader may be gone; the exit code is what counts.
        let _gone = writeln!(stdout, "{line}");
    }
    if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Checks whether this file can be written, or created if it does not exist. It is neither changed nor created.
///
/// # Errors
///
/// The error of the operating system.
pub fn writable(path: &Path) -> io::Result<()> {
    if path.try_exists()? {
        std::fs::OpenOptions::new().append(true).open(path)?;
        return Ok(());
    }
    let mut trial = path.as_os_str().to_owned();
    trial.push(format!(".{}", std::process::id()));
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&trial)?;
    std::fs::remove_file(&trial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn everything_is_tried_side_by_side_within_the_bound_and_told_in_order() {
        let mut check = Check::new();
        check.look("clock", async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok("it ticks".to_owned())
        });
        check.look("tower", std::future::pending());
        check.look("bell", async { Err("it is cracked; cast a new one".to_owned()) });
        check.look("rope", async { panic!("torn") });
        check.look("door", async { Ok(String::new()) });
        let begin = Instant::now();
        let (all_well, lines) = check.lines().await;
        assert_eq!(begin.elapsed(), BOUND);
        assert!(!all_well);
        assert_eq!(
            lines,
            [
                "ok      clock (it ticks)",
                "FAILED  tower: no answer within 5 s",
                "FAILED  bell: it is cracked; cast a new one",
                "FAILED  rope: the check of this part failed unexpectedly",
                "ok      door",
            ]
        );
    }

    #[tokio::test]
    async fn an_address_is_free_or_in_use() {
        let taken = ListenAddress::new("127.0.0.1", 0).bind().await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut check = Check::new();
        check.listening("bell", &ListenAddress::new("127.0.0.1", port), "BELL_PORT");
        check.listening("bell", &ListenAddress::new("127.0.0.1", 0), "BELL_PORT");
        check.health(None);
        check.health(Some(&ListenAddress::new("192.0.2.1", 80)));
        check.server("tower", "127.0.0.1", port, "build it");
        let (all_well, lines) = check.lines().await;
        assert!(!all_well);
        let begins = [
            format!("FAILED  bell on 127.0.0.1:{port}: the port is in use, as it is while "),
            "ok      bell on 127.0.0.1:0 (is free to listen on)".to_owned(),
            "FAILED  health on 192.0.2.1:80: this machine has no such address; set ADMIN_ADDRESS".to_owned(),
            "ok      tower (accepts connections)".to_owned(),
        ];
        assert_eq!(lines.len(), begins.len(), "{lines:?}");
        for (line, begin) in lines.iter().zip(&begins) {
            assert!(line.starts_with(begin), "{line}");
        }
        assert!(lines[0].ends_with("or set BELL_PORT"), "{}", lines[0]);
    }

    #[test]
    fn a_file_that_could_be_written_is_not_made() {
        let folder = std::env::temp_dir().join(format!("check-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("a");
        writable(&path).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::write(&path, "kept").unwrap();
        writable(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
        assert!(writable(&folder.join("no/such")).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
