//! Checks whether a server can be reached at all, and if not, why.

use std::io;

use tokio::net::{TcpStream, lookup_host};

/// The prefix that the standard library puts before the resolver's message.
const RESOLVER: &str = "failed to lookup address information: ";

/// The reason why there is no connection. Does not name the server, which the caller prints.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The name has no address to connect to.
    #[error("the name {host} cannot be resolved: {why}")]
    Name {
        /// The name.
        host: String,
        /// The message of the resolver.
        why: String,
    },
    /// None of the server's addresses accepts a connection.
    #[error("{}", reason(.0))]
    Refused(io::Error),
}

/// Connects over TCP. The caller sets the time limit.
///
/// # Errors
///
/// [`Unreachable`], with the reason.
pub async fn reach(host: &str, port: u16) -> Result<TcpStream, Unreachable> {
    let addresses = match lookup_host((host, port)).await {
        Ok(addresses) => addresses,
        Err(error) => {
            let why = error.to_string();
            return Err(Unreachable::Name {
                host: host.to_owned(),
                why: why.strip_prefix(RESOLVER).unwrap_or(&why).to_owned(),
            });
        }
    };
    let addresses: Vec<_> = addresses.collect();
    TcpStream::connect(&*addresses)
        .await
        .map_err(Unreachable::Refused)
}

/// Returns the usual reasons in words, without the system's error number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_reason_is_reported_in_words() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        reach("127.0.0.1", port).await.unwrap();
        drop(listener);
        let refused = reach("127.0.0.1", port).await.unwrap_err();
        assert_eq!(refused.to_string(), "connection refused");
        let unknown = reach("nowhere.invalid", port).await.unwrap_err().to_string();
        assert!(
            unknown.starts_with("the name nowhere.invalid cannot be resolved: ")
                && !unknown.contains("lookup"),
            "{unknown}"
        );
    }
}
