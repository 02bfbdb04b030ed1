//! A private RabbitMQ.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::erlang::Node;
use crate::eventually::eventually;
use crate::guard::Scratch;
use crate::http;
use crate::port::free_port;
use crate::process::{Process, Signal};
use crate::vhost::Vhost;

/// Where packages put the scripts that do not insist on a certain user.
const SCRIPTS: [&str; 2] = ["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin"];

/// A busy machine needs a multiple of the usual six seconds.
const START: Duration = Duration::from_mins(3);

/// A RabbitMQ server of this test process alone: own node, ports and files, on the loopback address, with the
/// management plugin. It ends with the test process, however that ends.
#[derive(Debug)]
pub struct Broker {
    server: Option<Running>,
    place: Arc<Place>,
}

/// What stays the same when the server is started again.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) node: Node,
    pub(crate) amqp_port: u16,
    pub(crate) management_port: u16,
    port_mapper: u16,
    scripts: PathBuf,
    directory: Scratch,
}

/// Fields in the order in which they are dropped: the server first.
#[derive(Debug)]
struct Running {
    server: Process,
    _port_mapper: Process,
}

impl Broker {
    /// The one of this test process, started on first use. Tests use a [`Vhost`] each.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Broker> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// One more, which the caller may stop.
    pub async fn start() -> Self {
        let mut broker = Self {
            server: None,
            place: Arc::new(Place::new()),
        };
        broker.start_again().await;
        broker
    }

    /// Stops the server as an operator would, and waits for its end.
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

    /// Starts the server that was stopped or killed, on the same ports and data, and waits until it serves.
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

    /// The server stops in its tracks; connections stay open and silent.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// The server goes on after [`Broker::freeze`].
    pub fn thaw(&self) {
        self.running().thaw();
    }

    /// Runs `rabbitmqctl` with `arguments` and returns what it printed. Takes about a second.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.place.scripts.join("rabbitmqctl"))
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

    /// A new, empty virtual host whose name begins with `name`.
    pub async fn vhost(&self, name: &str) -> Vhost {
        Vhost::create(
            Arc::clone(&self.place),
            &format!("{name}-{}", Uuid::new_v4().simple()),
        )
        .await
    }

    /// Base URL of the management API (user and password `guest`).
    pub fn management_url(&self) -> String {
        self.place.management_url()
    }

    /// What the server logged so far.
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

impl Place {
    fn new() -> Self {
        let Some(scripts) = SCRIPTS
            .iter()
            .map(Path::new)
            .find(|path| path.join("rabbitmq-server").exists())
        else {
            panic!(
                "RabbitMQ is not installed (looked in {}){}",
                SCRIPTS.join(", "),
                crate::SETUP
            )
        };
        let place = Self {
            node: Node {
                name: format!("harness-{}@localhost", Uuid::new_v4().simple()),
                port: free_port(),
                cookie: Uuid::new_v4().simple().to_string(),
            },
            amqp_port: free_port(),
            management_port: free_port(),
            port_mapper: free_port(),
            scripts: scripts.to_owned(),
            directory: Scratch::new(),
        };
        place.write("rabbitmq.conf", &place.configuration());
        place.write("enabled_plugins", "[rabbitmq_management].\n");
        place.write(".erlang.cookie", &place.node.cookie);
        place
    }

    pub(crate) fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.management_port)
    }

    /// A request to the management API; `path` begins with a slash.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: &serde_json::Value) -> http::Response {
        // guest:guest
        let headers = [
            ("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q="),
            ("content-type", "application/json"),
        ];
        let url = self.management_url() + path;
        let response = http::send(method, &url, &headers, body.to_string()).await;
        assert!(response.status < 300, "{method} {url} {body}: {response:?}");
        response
    }

    fn configuration(&self) -> String {
        format!(
            "listeners.tcp.1 = 127.0.0.1:{}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {}\n\
             collect_statistics_interval = 200\n\
             log.file = false\n\
             log.console = true\n\
             log.console.level = info\n\
             vm_memory_high_watermark.absolute = 1GB\n\
             disk_free_limit.absolute = 1MB\n",
            self.amqp_port, self.management_port
        )
    }

    /// Everything the scripts would otherwise take from the system-wide installation.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.directory.join(name).display().to_string();
        vec![
            ("PATH", crate::process::PATH.to_owned()),
            ("HOME", self.directory.path().display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("ERL_EPMD_PORT", self.port_mapper.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_NODENAME", self.node.name.clone()),
            ("RABBITMQ_DIST_PORT", self.node.port.to_string()),
            ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", file("data")),
            ("RABBITMQ_LOG_BASE", file("log")),
            ("RABBITMQ_PID_FILE", file("pid")),
            // Without it the script stays between us and the server and takes the signals.
            ("RABBITMQ_ALLOW_INPUT", "1".to_owned()),
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-noinput +S 2:2 +A 4 -kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
            ),
        ]
    }

    fn start_server(&self) -> Process {
        Process::spawn(self.scripts.join("rabbitmq-server"), [""; 0], self.environment())
    }

    /// Erlang's port mapper. Left to itself, the server would start one that outlives it.
    async fn start_port_mapper(&self) -> Process {
        let arguments = ["-address", "127.0.0.1", "-port", &self.port_mapper.to_string()];
        let mapper = Process::spawn("epmd", arguments, [("", ""); 0]);
        eventually("Erlang's port mapper to listen", START, || async {
            assert!(
                mapper.try_exit().is_none(),
                "Erlang's port mapper ended:\n{}",
                mapper.tail()
            );
            TcpStream::connect(("127.0.0.1", self.port_mapper))
                .await
                .map_err(|error| error.to_string())
        })
        .await;
        mapper
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
}
