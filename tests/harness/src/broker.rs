//! A private RabbitMQ server, or the one that all test processes of a run share.

mod place;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::process::{Process, Signal};
use crate::vhost::Vhost;

pub(crate) use self::place::Place;
use self::place::START;

/// A RabbitMQ server with its own node, ports and files, on the loopback address, with the management plugin. It ends with
/// the process that started it, however that process ends.
#[derive(Debug)]
pub struct Broker {
    server: Option<Running>,
    place: Arc<Place>,
}

/// The fields are in drop order: the server first.
#[derive(Debug)]
struct Running {
    server: Process,
    _port_mapper: Process,
}

impl Broker {
    /// The variable that names the directory of a running broker which this test process is to use as its shared one.
    pub const VARIABLE: &str = place::VARIABLE;

    /// The broker that [`Broker::VARIABLE`] names, which other test processes use as well; if it is not set, a broker of
    /// this test process, started on first use. Each test uses its own [`Vhost`].
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Broker> = OnceCell::const_new();
        SHARED
            .get_or_init(async || match std::env::var_os(Self::VARIABLE) {
                Some(directory) => Self {
                    server: None,
                    place: Arc::new(Place::of_running(directory.as_ref()).await),
                },
                None => Self::start().await,
            })
            .await
    }

    /// The broker's directory, for [`Broker::VARIABLE`].
    pub fn directory(&self) -> &Path {
        self.place.directory()
    }

    /// Starts another broker, which the caller may stop.
    pub async fn start() -> Self {
        let mut broker = Self {
            server: None,
            place: Arc::new(Place::new()),
        };
        broker.start_again().await;
        broker
    }

    /// Stops the server as an operator would, and waits until it has ended.
    pub async fn stop(&mut self) {
        let Some(running) = self.server.take() else {
            panic!("the broker is not running")
        };
        running.server.signal(Signal::TERM);
        running.server.wait_exit(START).await;
    }

    /// Ends the server as a power failure would.
    pub fn kill(&mut self) {
        let Some(running) = self.server.take() else {
            panic!("the broker is not running")
        };
        running.server.kill();
    }

    /// Starts the server after it was stopped or killed, on the same ports and data, and waits until it is ready.
    pub async fn start_again(&mut self) {
        assert!(self.server.is_none(), "the broker is running");
        let port_mapper = self.place.start_port_mapper().await;
        let server = self.place.start_server();
        server.wait_for_line("Server startup complete", START).await;
        self.server = Some(Running {
            server,
            _port_mapper: port_mapper,
        });
    }

    /// Suspends the server; its connections stay open and silent.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// Resumes the server after [`Broker::freeze`].
    pub fn thaw(&self) {
        self.running().thaw();
    }

    /// Runs `rabbitmqctl` with `arguments` and returns what it printed. Takes about a second.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new(place::script("rabbitmqctl"))
            .args(["--quiet", "--node", &self.place.node.name])
            .args(arguments)
            .env_clear()
            .envs(self.place.environment())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap_or_else(|error| panic!("cannot start rabbitmqctl: {error}"));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        printed
    }

    /// Creates an empty virtual host whose name begins with `name`.
    pub async fn vhost(&self, name: &str) -> Vhost {
        Vhost::create(
            Arc::clone(&self.place),
            &format!("{name}-{}", Uuid::new_v4().simple()),
        )
        .await
    }

    /// The base URL of the management API (user and password `guest`).
    pub fn management_url(&self) -> String {
        self.place.management_url()
    }

    /// The server's log so far.
    pub fn log(&self) -> Vec<String> {
        self.running().lines()
    }

    fn running(&self) -> &Process {
        let Some(running) = &self.server else {
            panic!("the broker is not running")
        };
        &running.server
    }
}
