//! Ports on the loopback address.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpSocket;

use crate::open_files;

/// The first port to use: below Linux's usual range for outgoing connections, which starts at 32768.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// The reservations of the ports given out so far; they last until this process ends.
static RESERVED: Mutex<Vec<Reservation>> = Mutex::new(Vec::new());

/// The reservation of a port. The UDP socket keeps the number from other test processes. The TCP socket does not listen, and
/// the server can bind to the same port because every server sets `SO_REUSEADDR`; this socket keeps outgoing connections off
/// the port if the system uses another range for them than usual.
struct Reservation {
    _from_other_tests: UdpSocket,
    _from_clients: TcpSocket,
}

/// Returns a TCP port on 127.0.0.1 that nothing listens on and that no other call, in this or another test process, returns
/// while this process lives. The server can bind to it at any later time, and again after a restart.
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

/// Reserves a port; `None` if another process has it.
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

/// A listener for the harness itself on a free port of this address, and that port. Its backlog can hold a burst of a
/// thousand connections; with the usual 128, the rest would be delayed by a second.
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
        // The system does not give a client a port that the client could not bind itself.
        let client = TcpSocket::new_v4().unwrap();
        assert!(client.bind(address).is_err());
    }
}
