//! A peer that hangs does not keep a program alive. With a frozen broker, a frozen Redis, a locked database
//! and clients that never finish, one signal ends the HTTP services and standalone within 10 s, and a second
//! one ends them at once.

use std::time::Duration;

use futures_util::future::join_all;
use harness::{
    Broker, Gate, Process, Receiver, Redis, Reply, Service, Signal, eventually, free_port, http, python,
};
use service_kit::shutdown::DRAIN_LIMIT;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::load::TOKEN;
use crate::services::rust;

/// A generous limit for events that may be slow on a busy machine.
const WAIT: Duration = Duration::from_mins(1);

/// How long a program may take after its limit to close its files and exit.
const LEAVING: Duration = Duration::from_millis(1500);

/// How long a program may run after a second signal.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Headers that never end.
const UNFINISHED: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n";

/// The situation in which the signals arrive.
struct Case {
    name: &'static str,
    /// Requests are running, and some clients hang.
    is_busy: bool,
    has_second_signal: bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "nothing runs, one signal",
        is_busy: false,
        has_second_signal: false,
    },
    Case {
        name: "requests run, one signal",
        is_busy: true,
        has_second_signal: false,
    },
    Case {
        name: "requests run, two signals",
        is_busy: true,
        has_second_signal: true,
    },
];

impl Case {
    async fn ends(&self, program: &Process) {
        let mut asked = Instant::now();
        let mut limit = DRAIN_LIMIT + LEAVING;
        program.signal(Signal::TERM);
        if self.has_second_signal {
            program.wait_for_line("finishing running work", WAIT).await;
            (asked, limit) = (Instant::now(), AT_ONCE);
            program.signal(Signal::INT);
        }
        let status = program.wait_exit(WAIT).await;
        let took = asked.elapsed();
        assert!(took < limit, "{}: {took:?}\n{}", self.name, program.tail());
        assert!(status.success(), "{}: {status}\n{}", self.name, program.tail());
    }
}

/// Requests in progress. They end when this value is dropped.
#[derive(Default)]
struct Clients {
    standing_still: Vec<TcpStream>,
    waiting: JoinSet<()>,
}

impl Clients {
    /// Sends only the beginning of a request.
    async fn begin(&mut self, port: u16, beginning: &str) {
        let mut client = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("a connection");
        client
            .write_all(beginning.as_bytes())
            .await
            .expect("room for a few bytes");
        self.standing_still.push(client);
    }

    /// Sends a whole request and waits for any answer.
    fn ask(&mut self, url: String) {
        self.waiting.spawn(async move {
            let _whatever = http::try_send("GET", &url, &[], "").await;
        });
    }
}

/// A program with the ports that it serves requests on and its admin port.
struct Program {
    process: Process,
    ports: Vec<u16>,
    admin: u16,
}

impl Program {
    async fn start(program: &str, variables: &[(&str, &str)]) -> Self {
        let (port, admin) = (free_port(), free_port());
        let (port_text, address) = (port.to_string(), format!("127.0.0.1:{admin}"));
        let own = [
            ("FLASK_RUN_PORT", port_text.as_str()),
            ("ADMIN_ADDRESS", &address),
        ];
        let process = rust(program, &[], &[variables, &own].concat());
        let Service { process, port } = Service::start(process, port).await;
        let program = Self {
            process,
            ports: vec![port],
            admin,
        };
        program.is_ready().await;
        program
    }

    async fn is_ready(&self) {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin);
        eventually("a program that is ready", WAIT, || async {
            let answer = http::try_send("GET", &url, &[], "").await;
            match answer.map_err(|error| format!("{error:#}"))?.status {
                200 => Ok(()),
                status => Err(format!("{status}\n{}", self.process.tail())),
            }
        })
        .await;
    }

    /// Opens a client on each port that never finishes its request. The program has noticed them when this
    /// returns.
    async fn occupy(&self, clients: &mut Clients) {
        for port in self.ports.iter().chain([&self.admin]) {
            clients.begin(*port, UNFINISHED).await;
            let answer = http::get(&format!("http://127.0.0.1:{port}/")).await;
            assert_eq!(answer.status, 404);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_api_leaves_a_frozen_broker() {
    let broker = Broker::start().await;
    let vhost = broker.vhost("frozen").await;
    let url = vhost.amqp_url();
    let program = env!("CARGO_BIN_EXE_test-public-api");
    let variables = [("BROKER_URL", url.as_str())];
    let programs = join_all(CASES.iter().map(|_| Program::start(program, &variables))).await;
    broker.freeze();
    let mut clients = Clients::default();
    for (case, program) in CASES.iter().zip(&programs) {
        if case.is_busy {
            let path = format!("/station/{}/driver/{TOKEN}/authorize", Uuid::new_v4());
            let port = program.ports[0];
            clients.ask(format!(
                "http://127.0.0.1:{port}{path}?callback_url=http://localhost/"
            ));
            // The API waits for a request's body for as long as a shutdown may take.
            let beginning = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
            );
            clients.begin(port, &beginning).await;
            program.occupy(&mut clients).await;
        }
    }
    join_all(
        CASES
            .iter()
            .zip(&programs)
            .map(|(case, api)| case.ends(&api.process)),
    )
    .await;
    broker.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acl_service_leaves_a_frozen_redis() {
    let redis = Redis::start().await;
    let port = redis.port().to_string();
    let program = env!("CARGO_BIN_EXE_test-acl-service");
    let variables = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", port.as_str())];
    let programs = join_all(CASES.iter().map(|_| Program::start(program, &variables))).await;
    redis.freeze();
    let mut clients = Clients::default();
    for (case, program) in CASES.iter().zip(&programs) {
        if case.is_busy {
            program.occupy(&mut clients).await;
            let path = format!("/station/{}/driver/{TOKEN}/acl", Uuid::new_v4());
            clients.ask(format!("http://127.0.0.1:{}{path}", program.ports[0]));
        }
    }
    join_all(
        CASES
            .iter()
            .zip(&programs)
            .map(|(case, acl)| case.ends(&acl.process)),
    )
    .await;
    redis.thaw();
}

/// Another program holds a lock on the database and hangs, and so does the receiver of a callback.
#[tokio::test(flavor = "multi_thread")]
async fn standalone_leaves_a_locked_database() {
    let gate = Gate::closed();
    let behind = gate.clone();
    let receiver =
        Receiver::start_with(move |_: &_| Reply::Behind(behind.clone(), Box::new(Reply::status(200)))).await;
    let programs = join_all(CASES.iter().map(|_| standalone())).await;
    let mut clients = Clients::default();
    let mut expected = 0;
    for (case, program) in CASES.iter().zip(&programs) {
        if case.is_busy {
            let (port, station) = (program.ports[0], Uuid::new_v4());
            let callback = receiver.url("/");
            let url = format!(
                "http://127.0.0.1:{port}/station/{station}/driver/{TOKEN}/authorize?callback_url={callback}"
            );
            assert_eq!(http::get(&url).await.status, 200);
            expected += 1;
            program.occupy(&mut clients).await;
        }
    }
    receiver.wait_for(expected, WAIT).await;
    let locks = join_all(programs.iter().map(|program| lock(&program.process))).await;
    join_all(
        CASES
            .iter()
            .zip(&programs)
            .map(|(case, program)| case.ends(&program.process)),
    )
    .await;
    drop(locks);
    gate.open();
}

async fn standalone() -> Program {
    let (api, acl, admin) = (free_port(), free_port(), free_port());
    let (api_text, acl_text) = (api.to_string(), acl.to_string());
    let address = format!("127.0.0.1:{admin}");
    let arguments = ["--api-port", &api_text, "--acl-port", &acl_text];
    let variables = [
        ("ADMIN_ADDRESS", address.as_str()),
        ("CALLBACK_TIMEOUT_SEC", "120"),
    ];
    let process = rust(env!("CARGO_BIN_EXE_test-standalone"), &arguments, &variables);
    process.wait_for_line("Press Ctrl-C to stop", WAIT).await;
    let program = Program {
        process,
        ports: vec![api, acl],
        admin,
    };
    program.is_ready().await;
    program
}

/// Starts a program that begins a write to the database and then hangs.
async fn lock(standalone: &Process) -> Process {
    let begin = "import sqlite3, sys, time\n\
                 held = sqlite3.connect(sys.argv[1])\n\
                 held.execute('BEGIN IMMEDIATE')\n\
                 print('locked')\n\
                 time.sleep(3600)";
    let database = standalone.directory().join("cp-auth.db").display().to_string();
    let locked = python::spawn("python", &["-c", begin, &database], &[]);
    locked.wait_for_line("locked", WAIT).await;
    locked.freeze();
    locked
}
