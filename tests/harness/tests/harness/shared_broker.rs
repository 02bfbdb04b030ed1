//! Tests of the program `test-servers`, which provides one RabbitMQ server to every test process below it.

use std::path::Path;
use std::time::Duration;

use harness::{Process, Signal, eventually};
use serde_json::Value;
use tokio::net::TcpStream;

const START: Duration = Duration::from_mins(3);
const SOON: Duration = Duration::from_mins(1);

/// Prints the broker settings that the command below `test-servers` receives.
const SHOW: &str = "echo directory $TEST_BROKER; echo description $(cat $TEST_BROKER/harness.json)";

/// A broker started by `test-servers`: its directory and its port.
struct Lent {
    servers: Process,
    directory: String,
    port: u16,
}

impl Lent {
    async fn start(script: &str) -> Self {
        let arguments = ["sh", "-c", &format!("{SHOW}; {script}")];
        let servers = Process::spawn(env!("CARGO_BIN_EXE_test-servers"), arguments, [("", ""); 0]);
        let directory = servers.wait_for_line("directory ", START).await;
        let description = servers.wait_for_line("description ", SOON).await;
        let description = description.trim_start_matches("description ");
        let description: Value = serde_json::from_str(description).expect("JSON");
        let port = description["amqp_port"].as_u64().expect("a port");
        Self {
            servers,
            directory: directory.trim_start_matches("directory ").to_owned(),
            port: u16::try_from(port).expect("a port"),
        }
    }

    async fn connects(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
    }

    async fn is_gone(&self) {
        eventually("the broker to end and its directory to go", SOON, || async {
            let (connects, there) = (self.connects().await, Path::new(&self.directory).exists());
            if connects || there {
                Err(format!("connects: {connects}, directory there: {there}"))
            } else {
                Ok(())
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_broker_is_lent_until_its_command_or_its_program_ends() {
    let killed = async {
        let lent = Lent::start("exec sleep 1000").await;
        assert!(lent.connects().await);
        lent.servers.signal(Signal::KILL);
        lent.is_gone().await;
    };
    let over = async {
        let lent = Lent::start("exec sh -c 'exit 7'").await;
        let status = lent.servers.wait_exit(SOON).await;
        assert_eq!(status.code(), Some(7));
        lent.is_gone().await;
    };
    tokio::join!(killed, over);
}
