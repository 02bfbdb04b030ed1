//! Ports of the loopback address.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpSocket;

use crate::open_files;

/// Below Linux's usual range for outgoing connections, 32768 and up.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// What reserves the ports given out so far, until this process ends.
static RESERVED: Mutex<Vec<Reservation>> = Mutex::new(Vec::new());

/// The UDP socket keeps the number from other test processes. The TCP socket does not listen, and the server binds beside it,
/// as every server sets `SO_REUSEADDR`; it keeps the port from outgoing connections where the system has another range for
/// them than usual.
struct Reservation {
    _from_other_tests: UdpSocket,
    _from_clients: TcpSocket,
}

/// A TCP port of 127.0.0.1 that nobody listens on and that no other call, in this or another test process, returns
/// as long as this process lives. The server can bind it at any later time, and again after a restart.
pub fn free_port() -> u16 {
    let start = RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
    let start = u16::try_from(start).expect("less than COUNT");
    for step in 0..COUNT {
        let port = FIRST + (start + step) % COUNT;
        if let Some(reservation) = reserve(port) {
            RESERVED
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(reservation);
            return port;
        }
    }
    panic!("no port is free between {FIRST} and {}", FIRST + COUNT);
}

/// `None` when somebody else has the port.
fn reserve(port: u16) -> Option<Reservation> {
    let from_other_tests = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    let from_clients = TcpSocket::new_v4().ok()?;
    from_clients.set_reuseaddr(true).ok()?;
    from_clients
        .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .ok()?;
    Some(Reservation {
        _from_other_tests: from_other_tests,
        _from_clients: from_clients,
    })
}

/// A listener of the harness itself on any port of this address, and that port. Its backlog takes a burst of a thousand
/// connections; with the usual 128, the rest would be a second late.
pub(crate) fn listen(address: Ipv4Addr) -> (tokio::net::TcpListener, u16) {
    open_files::allow_many();
    let listening = || {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((address, 0)))?;
        let listener = socket.listen(1024)?;
        let port = listener.local_addr()?.port();
        std::io::Result::Ok((listener, port))
    };
    listening().unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_gets_the_port_again_and_again_and_a_client_never() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        for _ in 0..2 {
            let server = TcpListener::bind(address).unwrap();
            assert!(TcpListener::bind(address).is_err(), "one server at a time");
            drop(server);
        }
        // The system gives a client none that it could not bind itself.
        let client = TcpSocket::new_v4().unwrap();
        assert!(client.bind(address).is_err());
    }
}
