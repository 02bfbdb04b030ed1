//! Ports of the loopback address.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpSocket;

/// Below Linux's range for outgoing connections (32768 and up), so that no client takes one of these by chance.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// The UDP sockets that reserve the ports given out so far, until this process ends.
static RESERVED: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A TCP port of 127.0.0.1 that nobody listens on and that no other call, in this or another test process, returns
/// as long as this process lives.
///
/// The reservation is the UDP socket of the same number: the server can bind the TCP port at any later time, and
/// again after a restart.
pub fn free_port() -> u16 {
    let start = RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
    let start = u16::try_from(start).expect("less than COUNT");
    for step in 0..COUNT {
        let port = FIRST + (start + step) % COUNT;
        let Ok(reservation) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            continue;
        }
        RESERVED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(reservation);
        return port;
    }
    panic!("no port is free between {FIRST} and {}", FIRST + COUNT);
}

/// A listener of the harness itself on any port of this address, and that port. Its backlog takes a burst of a thousand
/// connections; with the usual 128, the rest would be a second late.
pub(crate) fn listen(address: Ipv4Addr) -> (tokio::net::TcpListener, u16) {
    let listening = || {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((address, 0)))?;
        let listener = socket.listen(1024)?;
        let port = listener.local_addr()?.port();
        std::io::Result::Ok((listener, port))
    };
    listening().unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"))
}
