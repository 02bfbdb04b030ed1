//! The identity of a broker: its node, ports and files, which stay the same when it is restarted.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::erlang::Node;
use crate::eventually::eventually;
use crate::guard::Scratch;
use crate::http;
use crate::port::free_port;
use crate::process::Process;

/// See [`super::Broker::VARIABLE`].
pub(super) const VARIABLE: &str = "TEST_BROKER";

/// Startup usually takes six seconds, but several times as long on a busy machine.
pub(super) const START: Duration = Duration::from_mins(3);

/// The directories in which packages install the scripts that do not require a particular user.
const SCRIPTS: [&str; 2] = ["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin"];

/// The file in the server's directory that describes the server to other processes.
const DESCRIPTION: &str = "harness.json";

/// The properties that stay the same when the server is restarted.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) node: Node,
    pub(crate) amqp_port: u16,
    pub(crate) management_port: u16,
    port_mapper: u16,
    directory: PathBuf,
    /// Removes the directory when dropped; set only in the process that made it.
    _made: Option<Scratch>,
}

/// The path of one of RabbitMQ's scripts; panics if it is not installed.
pub(super) fn script(name: &str) -> PathBuf {
    let mut paths = SCRIPTS.iter().map(|folder| Path::new(folder).join(name));
    let found = paths.find(|path| path.exists());
    found.unwrap_or_else(|| {
        panic!(
            "RabbitMQ is not installed (looked in {}){}",
            SCRIPTS.join(", "),
            crate::SETUP
        )
    })
}

impl Place {
    /// Chooses the node, ports and files for a server that is still to be started.
    pub(super) fn new() -> Self {
        let made = Scratch::new();
        let place = Self {
            node: Node {
                name: format!("harness-{}@localhost", Uuid::new_v4().simple()),
                port: free_port(),
                cookie: Uuid::new_v4().simple().to_string(),
            },
            amqp_port: free_port(),
            management_port: free_port(),
            port_mapper: free_port(),
            directory: made.path().to_owned(),
            _made: Some(made),
        };
        place.write("rabbitmq.conf", &place.configuration());
        place.write("enabled_plugins", "[rabbitmq_management].\n");
        place.write(".erlang.cookie", &place.node.cookie);
        place.write(DESCRIPTION, &place.description().to_string());
        place
    }

    /// Reads the node, ports and files of a server that another process has started in this directory; panics
    /// if the server does not respond.
    pub(super) async fn of_running(directory: &Path) -> Self {
        let path = directory.join(DESCRIPTION);
        let gone = format!(
            "{} names {}, where no broker runs; unset it, and each test process starts its own",
            VARIABLE,
            directory.display()
        );
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{gone} ({error})"));
        let place = Self::described(directory, &text)
            .unwrap_or_else(|| panic!("{} does not describe a broker: {text}", path.display()));
        let connected = TcpStream::connect(("127.0.0.1", place.amqp_port)).await;
        if let Err(error) = connected {
            panic!("{gone} ({error})");
        }
        place
    }

    /// The information that another process needs to use the server.
    fn description(&self) -> Value {
        json!({
            "node": self.node.name,
            "node_port": self.node.port,
            "cookie": self.node.cookie,
            "amqp_port": self.amqp_port,
            "management_port": self.management_port,
            "port_mapper": self.port_mapper,
        })
    }

    fn described(directory: &Path, text: &str) -> Option<Self> {
        let description: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| description[name].as_str().map(str::to_owned);
        let port = |name: &str| u16::try_from(description[name].as_u64()?).ok();
        Some(Self {
            node: Node {
                name: text("node")?,
                port: port("node_port")?,
                cookie: text("cookie")?,
            },
            amqp_port: port("amqp_port")?,
            management_port: port("management_port")?,
            port_mapper: port("port_mapper")?,
            directory: directory.to_owned(),
            _made: None,
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.management_port)
    }

    /// Sends a request to the management API; `path` begins with a slash.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: &Value) -> http::Response {
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

    /// The settings that the scripts would otherwise take from the system-wide installation.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.directory.join(name).display().to_string();
        vec![
            ("PATH", crate::process::PATH.to_owned()),
            ("HOME", self.directory.display().to_string()),
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
            // Without this variable, the script stays between us and the server and takes the signals.
            ("RABBITMQ_ALLOW_INPUT", "1".to_owned()),
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-noinput +S 2:2 +A 4 -kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
            ),
        ]
    }

    pub(super) fn start_server(&self) -> Process {
        Process::spawn(script("rabbitmq-server"), [""; 0], self.environment())
    }

    /// Starts Erlang's port mapper. Otherwise the server would start one that outlives it.
    pub(super) async fn start_port_mapper(&self) -> Process {
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
