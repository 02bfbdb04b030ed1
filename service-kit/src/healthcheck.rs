//! `healthcheck`: a program requests `/readyz` of its running instance. It is meant for container engines, whose images
//! then need neither a shell nor an HTTP client.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use crate::admin::{self, ADMIN_ADDRESS};
use crate::env::{BadEnvironment, Env};
use crate::http::ListenAddress;
use crate::telemetry;

/// The subcommand's name.
pub const COMMAND: &str = "healthcheck";

/// The help text of the subcommand.
pub const ABOUT: &str =
    "Requests /readyz of the running program at ADMIN_ADDRESS; exit code 0 if it is ready, else 1";

/// The time limit for each of connecting, sending and reading.
const PATIENCE: Duration = Duration::from_secs(2);

/// The maximum size of an answer of `/readyz`, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Runs the health check with the environment of the running program, and prints the answer.
pub fn main(name: &str, env: &Env) -> ExitCode {
    let address = match read(env) {
        Ok(address) => address,
        Err(mistakes) => {
            telemetry::tell(format_args!("{name}: {mistakes}"));
            return ExitCode::from(BadEnvironment::EXIT_CODE);
        }
    };
    let (is_ready, said) = match ask(&address) {
        Ok((status, body)) => (status == 200, body),
        Err(error) => (false, format!("no answer from {address}: {error}")),
    };
    // The reader may be gone; the exit code is what counts.
    let _ = writeln!(io::stdout(), "{}", said.trim_end());
    if is_ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read(env: &Env) -> Result<ListenAddress, BadEnvironment> {
    let mut reader = env.reader();
    let known = reader.optional(&ADMIN_ADDRESS).is_some();
    let address = admin::read_address(&mut reader);
    if !known {
        reader.mistake(
            &ADMIN_ADDRESS,
            "must be set, both for the running program and for healthcheck",
        );
    }
    reader.finish()?;
    Ok(address.unwrap_or_else(|| ListenAddress::new("", 0)))
}

/// Returns status and body of `/readyz`.
fn ask(address: &ListenAddress) -> io::Result<(u16, String)> {
    let mut stream = connect(&address.to_string())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let no_http = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP response");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(no_http)?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|head| head.get(..3)?.parse().ok());
    Ok((status.ok_or_else(no_http)?, body.to_owned()))
}

/// Connects to the address. One that means every interface when listening leads to this machine when connecting.
fn connect(address: &str) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name does not resolve to an address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::background::Background;
    use crate::readiness::Readiness;
    use crate::shutdown::GracefulShutdown;

    async fn outcome(env: &Env) -> ExitCode {
        let env = env.clone();
        tokio::task::spawn_blocking(move || main("clock", &env))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn the_exit_code_follows_readyz() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let text = format!("0.0.0.0:{port}");
        let env = Env::from_pairs([("ADMIN_ADDRESS", &text)]);
        assert_eq!(outcome(&env).await, ExitCode::FAILURE, "nobody listens");

        let readiness = Readiness::new();
        let broker = readiness.part("broker");
        let address = text.parse().unwrap();
        let mut background = Background::new(&readiness);
        admin::start(
            Some(&address),
            &readiness,
            &GracefulShutdown::manual(),
            &mut background,
        )
        .await
        .unwrap();
        assert_eq!(outcome(&env).await, ExitCode::FAILURE);
        broker.ready();
        assert_eq!(outcome(&env).await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn an_answer_that_is_not_http_is_not_ready() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 smtp\r\n\r\n")
                .await
                .unwrap();
        });
        let env = Env::from_pairs([("ADMIN_ADDRESS", &address)]);
        assert_eq!(outcome(&env).await, ExitCode::FAILURE);
    }

    #[test]
    fn without_an_address_nothing_can_be_asked() {
        for env in [
            Env::default(),
            Env::from_pairs([("ADMIN_ADDRESS", "")]),
            Env::from_pairs([("ADMIN_ADDRESS", "9100")]),
        ] {
            let mistakes = read(&env).unwrap_err().to_string();
            assert_eq!(mistakes.lines().count(), 2, "{mistakes}");
            assert_eq!(main("clock", &env), ExitCode::from(64));
        }
    }
}
