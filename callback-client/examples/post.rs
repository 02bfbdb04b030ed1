//! POSTs a JSON body to a URL under a target policy and prints the status text:
//! `post URL JSON [any | public | NETWORK,…]`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use callback_client::callback_url::{Judgement, judge};
use callback_client::proxy::Proxies;
use callback_client::{CallbackClient, CallbackConfig, CallbackStatus, tls};

const USAGE: &str = "usage: post URL JSON [any | public | NETWORK,…]";

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]
async fn main() -> ExitCode {
    match post(std::env::args().skip(1).collect()).await {
        Ok(status) => {
            println!("{status}");
            match status.trouble(String::new) {
                None => ExitCode::SUCCESS,
                Some(_) => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

async fn post(arguments: Vec<String>) -> Result<CallbackStatus, Box<dyn std::error::Error>> {
    let (url, body, targets) = match arguments.as_slice() {
        [url, body] => (url, body, "any"),
        [url, body, targets] => (url, body, targets.as_str()),
        _ => return Err(USAGE.into()),
    };
    let config = CallbackConfig {
        timeout: Duration::from_secs(5),
        targets: targets.parse()?,
        signing: None,
    };
    let client = CallbackClient::new(config, Arc::new(tls::client_config(None)?), &Proxies::default());
    Ok(match judge(url) {
        Judgement::Sendable(url) => client.post("example", url, body.clone()).await,
        Judgement::Unsendable { text } => CallbackStatus::Unsendable(text),
        Judgement::Invalid => CallbackStatus::InvalidUrl,
    })
}
