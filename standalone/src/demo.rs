//! `standalone demo`: each kind of authorization, from request to audit record, on free ports and a temporary file.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Empty};
use hyper::Method;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use service_kit::background::Background;
use service_kit::env::Env;
use service_kit::http::ListenAddress;
use service_kit::readiness::Readiness;
use service_kit::shutdown::GracefulShutdown;
use service_kit::telemetry::{self, Filter};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::audit_log::Entry;
use crate::cli::RunFlags;
use crate::config::Config;
use crate::receiver::Receiver;
use crate::services::Services;
use crate::terminal::{indented, say};

/// The time limit for each step.
const STEP: Duration = Duration::from_secs(20);

/// The interval between two checks for a record, which immediately follows its callback.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The setting: the services, a callback receiver and a client.
struct Stage {
    services: Services,
    receiver: Receiver,
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// One authorization and its expected verdict.
struct Act {
    title: &'static str,
    token: &'static str,
    verdict: &'static str,
}

/// Performs all acts.
///
/// # Errors
///
/// If any result is not as expected.
pub(crate) async fn demo() -> anyhow::Result<()> {
    telemetry::init(Filter::new("error"));
    let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
    let flags = RunFlags::on_free_ports(directory.path().join("demo.db"));
    // The demo ignores the environment, which may forbid callbacks to this machine or send them through a proxy.
    let config = Config::read(&Env::default(), &flags)?;
    let readiness = Readiness::new();
    let mut background = Background::new(&readiness);
    let (signals, shutdown) = (
        GracefulShutdown::on_signals(&mut background)?,
        GracefulShutdown::manual(),
    );
    let stage = Stage {
        services: Services::start(&config, &readiness, &shutdown).await?,
        receiver: Receiver::start(&ListenAddress::new("127.0.0.1", 0)).await?,
        client: Client::builder(TokioExecutor::new()).build_http(),
    };
    tokio::select! {
        performed = perform(stage, &shutdown) => performed,
        () = signals.warm.cancelled() => bail!("interrupted"),
    }
}

async fn perform(mut stage: Stage, shutdown: &GracefulShutdown) -> anyhow::Result<()> {
    say(format!(
        "Public API on http://{}, ACL service on http://{}, callbacks to http://{}.",
        stage.services.api, stage.services.acl, stage.receiver.address
    ));

    let allowed = Act {
        title: "1. A driver on the allow-list",
        token: "validDriverToken-0001",
        verdict: "allowed",
    };
    let station = Uuid::new_v4();
    say(format!("\n{}\n", allowed.title));
    stage
        .request(Method::PUT, &stage.acl_url(station, allowed.token))
        .await?;
    stage.authorize(station, &allowed).await?;

    let others = [
        Act {
            title: "2. A driver who is not on the allow-list",
            token: "otherDriverToken-0002",
            verdict: "not_allowed",
        },
        Act {
            title: "3. A driver token that is too short",
            token: "short",
            verdict: "invalid",
        },
    ];
    for act in others {
        say(format!("\n{}\n", act.title));
        stage.authorize(Uuid::new_v4(), &act).await?;
    }

    let unknown = Act {
        title: "4. The ACL service is down",
        token: "validDriverToken-0001",
        verdict: "unknown",
    };
    say(format!("\n{}\n", unknown.title));
    stage.services.stop_acl().await;
    stage.authorize(Uuid::new_v4(), &unknown).await?;

    shutdown.warm.cancel();
    stage.services.run_until(shutdown).await?;
    say("\nAll four verdicts are as expected.");
    Ok(())
}

impl Stage {
    fn acl_url(&self, station: Uuid, token: &str) -> String {
        format!(
            "http://{}/station/{station}/driver/{token}/acl",
            self.services.acl
        )
    }

    /// Requests an authorization, shows everything that follows, and checks it.
    async fn authorize(&mut self, station: Uuid, act: &Act) -> anyhow::Result<()> {
        let callback_url = format!("http://{}/verdict", self.receiver.address);
        let url = format!(
            "http://{}/station/{station}/driver/{}/authorize?callback_url={callback_url}",
            self.services.api, act.token
        );
        self.request(Method::GET, &url).await?;

        let callback = timeout(STEP, self.receiver.next())
            .await
            .context("no callback arrived")??;
        say(format!(
            "  callback  {} {}\n    {}",
            callback.method, callback.target, callback.body
        ));
        let expected = format!(
            r#"{{"station_id": "{station}", "driver_token": "{}", "status": "{}"}}"#,
            act.token, act.verdict
        );
        ensure!(callback.body == expected, "expected the callback {expected}");

        let record = timeout(STEP, self.record(station))
            .await
            .context("no audit record was written")??;
        say(format!("  audit record\n{}", indented(&record.to_string(), 4)));
        let expected = Entry {
            start_time_ns: record.start_time_ns,
            station_id: station.to_string(),
            driver_token: act.token.to_owned(),
            status: act.verdict.to_owned(),
            callback_status: "<Response [200]>".to_owned(),
            callback_url,
        };
        ensure!(record == expected, "expected the record\n{expected}");
        Ok(())
    }

    /// Sends a request and shows it with its answer, which must be 200.
    async fn request(&self, method: Method, url: &str) -> anyhow::Result<()> {
        say(format!("  {method} {url}"));
        let request = hyper::Request::builder()
            .method(method)
            .uri(url)
            .body(Empty::new())?;
        let response = timeout(STEP, self.client.request(request))
            .await
            .context("no answer arrived")??;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        say(format!(
            "    {} {}",
            status.as_u16(),
            String::from_utf8_lossy(&body).trim_end()
        ));
        ensure!(status.is_success(), "expected an answer with status 200");
        Ok(())
    }

    async fn record(&self, station: Uuid) -> anyhow::Result<Entry> {
        let station = station.to_string();
        loop {
            let station = station.clone();
            let found = self
                .services
                .database
                .read(move |connection| Entry::of_station(connection, &station));
            if let Some(entry) = found.await? {
                return Ok(entry);
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
