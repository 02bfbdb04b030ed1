//! Whether a server can be reached at all, and if not, why.

use std::io;

use tokio::net::{TcpStream, lookup_host};

/// What the system's resolver puts before its own words.
const RESOLVER: &str = "failed to lookup address information: ";

/// Why there is no connection. Does not name the server; whoever prints it does.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// There is no address to connect to.
    #[error("the name {host} cannot be resolved: {why}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver says.
        why: String,
    },
    /// No address of it takes a connection.
    #[error("{}", said(.0))]
    Refused(io::Error),
}

/// Connects over TCP. Whoever awaits this sets the bound.
///
/// # Errors
///
/// [`Unreachable`] says why there is no connection.
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

/// The usual reasons without the number that the system gives them.
fn said(error: &io::Error) -> String {
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
    async fn the_reason_is_said_in_words() {
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
