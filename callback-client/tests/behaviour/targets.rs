//! The permitted targets of callbacks, with the real resolver: this binary runs itself in its own network with a DNS
//! server whose answers change (ADR 11).

use std::collections::VecDeque;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callback_client::callback_url::{Judgement, judge};
use callback_client::proxy::Proxies;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::clients;
use crate::peer::{Peer, answer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const FORBIDDEN: &str = "not a permitted callback target (CALLBACK_NETWORKS)";
/// A variable that is set when the tests run inside their own network.
const INSIDE: &str = "CALLBACK_TARGETS_INSIDE";
/// A script that sets our resolver, activates the loopback interface and runs the test.
const ENTER: &str = r#"
set -e
mount --bind "$RESOLV_CONF" /etc/resolv.conf
# Query no other server.
[ ! -e /etc/nsswitch.conf ] || mount --bind "$NSSWITCH_CONF" /etc/nsswitch.conf
[ ! -d /run/nscd ] || mount -t tmpfs none /run/nscd
python3 -c "import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x49))"
exec "$@"
"#;

/// Addresses that are always refused, in the forms in which a name may hide them.
const REFUSED: [&str; 9] = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",
    "fe80::1",
    "fd00:ec2::254",
];

/// Returns whether this is the run inside the network; if it is not, runs `test` there first.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let directory = tempfile::tempdir().unwrap();
    let resolv_conf = directory.path().join("resolv.conf");
    fs::write(
        &resolv_conf,
        "nameserver 127.0.0.1\noptions timeout:20 attempts:1\n",
    )
    .unwrap();
    let nsswitch_conf = directory.path().join("nsswitch.conf");
    fs::write(&nsswitch_conf, "hosts: files dns\n").unwrap();
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--net",
            "sh",
            "-c",
            ENTER,
            "sh",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(INSIDE, "1")
        .env("RESOLV_CONF", &resolv_conf)
        .env("NSSWITCH_CONF", &nsswitch_conf)
        .env_remove("LOCALDOMAIN")
        .env_remove("RES_OPTIONS")
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{}; this test needs user namespaces, which the system may forbid (kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns, the policy of a container)\n{out}\n{err}",
        output.status
    );
    false
}

/// A DNS server on 127.0.0.1:53 that gives one of `answers` after the other, and repeats the last one.
struct Dns {
    /// The number of lookups of IPv4 addresses so far; each lookup of a name asks for both kinds.
    asked: Arc<Mutex<usize>>,
    _serving: JoinSet<()>,
}

impl Dns {
    async fn answering(answers: &[&str]) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).await.unwrap();
        let answers: VecDeque<IpAddr> = answers.iter().map(|text| text.parse().unwrap()).collect();
        let asked = Arc::new(Mutex::new(0));
        let mut serving = JoinSet::new();
        serving.spawn(serve(socket, answers, Arc::clone(&asked)));
        Self {
            asked,
            _serving: serving,
        }
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(socket: UdpSocket, answers: VecDeque<IpAddr>, asked: Arc<Mutex<usize>>) {
    let (mut ipv4, mut ipv6) = (0, 0);
    let mut query = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut query).await.unwrap();
        let query = &query[..length];
        // RFC 1035: 12 bytes of header, then the name, then type and class.
        let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
        let question = &query[12..12 + name + 5];
        let is_ipv6 = question[name + 2] == 28;
        let turn = if is_ipv6 { &mut ipv6 } else { &mut ipv4 };
        let address = answers[(*turn).min(answers.len() - 1)];
        *turn += 1;
        *asked.lock().unwrap_or_else(PoisonError::into_inner) = ipv4;
        let found = match address {
            IpAddr::V4(address) if !is_ipv6 => Some(address.octets().to_vec()),
            IpAddr::V6(address) if is_ipv6 => Some(address.octets().to_vec()),
            _ => None,
        };
        let mut reply = query[..2].to_vec();
        reply.extend([0x81, 0x80, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
        reply.extend(question);
        if let Some(found) = found {
            // A pointer to the name, type and class as in the question, and a time to live of 0.
            reply.extend([0xC0, 12]);
            reply.extend(&question[name + 1..]);
            reply.extend([0, 0, 0, 0, 0, u8::try_from(found.len()).unwrap()]);
            reply.extend(found);
        }
        socket.send_to(&reply, from).await.unwrap();
    }
}

async fn post(to: &str) -> String {
    let client = clients::client(Duration::from_secs(30), &Proxies::default());
    let Judgement::Sendable(url) = judge(to) else {
        panic!("{to} cannot be sent to");
    };
    client.post("id", url, "{}".to_owned()).await.to_string()
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
    if !is_inside("targets::the_address_that_was_checked_is_the_one_that_is_dialled") {
        return;
    }
    let peer = Peer::playing(answer(OK)).await;
    let url = format!("http://rebind.test:{}/", peer.port());
    let dns = Dns::answering(&["127.0.0.1", "169.254.169.254"]).await;
    assert_eq!(post(&url).await, "<Response [200]>");
    assert_eq!((dns.asked(), peer.requests().len()), (1, 1));
    let second = post(&url).await;
    assert!(second.ends_with(FORBIDDEN), "{second}");
    assert_eq!((dns.asked(), peer.requests().len()), (2, 1));
}

#[tokio::test]
async fn a_redirect_asks_the_name_again_and_checks_the_new_answer() {
    if !is_inside("targets::a_redirect_asks_the_name_again_and_checks_the_new_answer") {
        return;
    }
    let moved = "HTTP/1.1 307 X\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n";
    let peer = Peer::playing(answer(moved)).await;
    let _dns = Dns::answering(&["127.0.0.1", "169.254.169.254"]).await;
    let status = post(&format!("http://rebind.test:{}/", peer.port())).await;
    assert!(status.ends_with(FORBIDDEN), "{status}");
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn names_of_refused_addresses_are_refused() {
    if !is_inside("targets::names_of_refused_addresses_are_refused") {
        return;
    }
    for address in REFUSED {
        let dns = Dns::answering(&[address]).await;
        let status = post("http://metadata.test/").await;
        assert!(status.ends_with(FORBIDDEN), "{address}: {status}");
        assert_eq!(dns.asked(), 1);
        drop(dns);
        harness::eventually("port 53 is free", Duration::from_secs(30), || async {
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 53))
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        })
        .await;
    }
}

#[tokio::test]
async fn redirects_to_refused_addresses_are_refused() {
    for address in REFUSED {
        let host = match address.parse().unwrap() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        for status in [301, 302, 303, 307, 308] {
            let moved =
                format!("HTTP/1.1 {status} X\r\nLocation: http://{host}/\r\nContent-Length: 0\r\n\r\n");
            let peer = Peer::playing(answer(moved)).await;
            let shown = post(&format!("http://127.0.0.1:{}/", peer.port())).await;
            assert!(shown.ends_with(FORBIDDEN), "{status} {host}: {shown}");
        }
    }
}
