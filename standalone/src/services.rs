//! The three services, wired as in a real deployment, except that a single file is their store. The worker queries the
//! ACL service over HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use axum::Router;
use callback_client::proxy::Proxies;
use callback_client::tls;
use celery_runtime::Registry;
use explain::explain;
use public_api::Authorize;
use service_kit::background;
use service_kit::http::{self, AccessLog, Limits};
use service_kit::readiness::{Part, Readiness};
use service_kit::shutdown::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use worker::acl_client::AclClient;
use worker::audit_log::AuditLog;
use worker::authorize::Authorizer;

use crate::allow_list::SqliteAllowList;
use crate::audit_log::SqliteAuditLog;
use crate::config::Config;
use crate::database::Database;
use crate::ports;
use crate::queue::Queue;
use crate::runner::Runner;

/// How long closing the database may take if running requests have used up the drain limit.
const CLOSING: Duration = Duration::from_millis(500);

/// The services while they run.
pub(crate) struct Services {
    /// The local address of the public API.
    pub(crate) api: SocketAddr,
    /// The local address of the ACL service.
    pub(crate) acl: SocketAddr,
    /// The number of requests that were waiting in the file at the start.
    pub(crate) found: i64,
    /// The file.
    pub(crate) database: Database,
    api_server: JoinSet<()>,
    runner: JoinSet<anyhow::Result<()>>,
    acl_server: JoinSet<()>,
    acl_shutdown: GracefulShutdown,
    audit_writer: JoinSet<()>,
    health: Part,
}

type Worker = Arc<Authorizer>;

impl Services {
    /// Listens, opens the file, and starts to run the waiting requests.
    pub(crate) async fn start(
        config: &Config,
        readiness: &Readiness,
        shutdown: &GracefulShutdown,
    ) -> anyhow::Result<Self> {
        let (api_listener, acl_listener) = ports::listen(config).await?;
        let (api, acl) = (reachable(&api_listener)?, reachable(&acl_listener)?);

        let database = Database::open(&config.database)?;
        let mut audit_log = AuditLog::new(
            SqliteAuditLog {
                database: database.clone(),
            },
            readiness.part("database"),
        );
        let audit_writer = audit_log.take_writer();
        let worker = Arc::new(authorizer(config, acl, audit_log)?);
        let queue = Queue::new(database.clone());
        let (found, last) = (queue.len().await?, queue.last().await?);

        let mut registry = Registry::new();
        worker::task::register(&mut registry, Worker::clone(&worker));
        let runner = Runner::new(queue.clone(), registry, last, readiness.part("worker"));

        // Tasks that are still running need the ACL service, so it stops last.
        let mut acl_shutdown = GracefulShutdown::manual();
        acl_shutdown.cold = shutdown.cold.clone();
        let allow_list = SqliteAllowList {
            database: database.clone(),
        };
        let authorize = Authorize {
            queue,
            sender: celery_runtime::sender().clone(),
            timeout: config.authorization_timeout,
        };
        Ok(Self {
            api,
            acl,
            found,
            database,
            api_server: serve(
                api_listener,
                public_api::router(authorize),
                AccessLog::new(config.access_log, public_api::ACCESS_LOG_PATH),
                shutdown,
            ),
            runner: {
                let mut set = JoinSet::new();
                set.spawn(runner.run(shutdown.clone()));
                set
            },
            acl_server: serve(
                acl_listener,
                acl_service::router(Arc::new(allow_list)),
                AccessLog::new(config.access_log, acl_service::ACCESS_LOG_PATH),
                &acl_shutdown,
            ),
            acl_shutdown,
            audit_writer,
            health: readiness.part("services"),
        })
    }

    /// Returns when a shutdown is complete: the file contains every request that was accepted and not answered.
    ///
    /// # Errors
    ///
    /// If one of the services ended or panicked, which also ends the others.
    pub(crate) async fn run_until(mut self, shutdown: &GracefulShutdown) -> anyhow::Result<()> {
        self.health.ready();
        let trouble = tokio::select! {
            biased;
            () = shutdown.warm.cancelled() => None,
            trouble = self.trouble() => Some(trouble),
        };
        if let Some(trouble) = &trouble {
            self.health.not_ready(trouble.as_str());
            tracing::error!("{trouble}; finishing running work");
        }
        shutdown.warm.cancel();
        tokio::join!(ended(&mut self.api_server), ended(&mut self.runner));
        tokio::select! {
            () = self.stop_acl() => {}
            () = shutdown.drain_limit() => {}
        }
        // A disk that hangs must not delay the exit; committed data is on it.
        tokio::select! {
            () = self.database.close() => {}
            () = closing_limit(shutdown) => tracing::warn!("exiting with the database still open"),
        }
        match trouble {
            None => Ok(()),
            Some(trouble) => bail!("{trouble}; unanswered requests run at the next start"),
        }
    }

    /// Waits until one of the services ends without a request to do so. Returns which one, and how.
    async fn trouble(&mut self) -> String {
        let (part, how) = tokio::select! {
            // The order matters: when the worker ends, so does the writer of the audit log, which only the worker
            // holds.
            biased;
            Some(ended) = self.api_server.join_next() => ("the public API", how(ended)),
            Some(ended) = self.runner.join_next() => match ended {
                Ok(Err(error)) => ("the worker", format!("failed: {}", explain(&*error))),
                Ok(Ok(())) => ("the worker", how(Ok(()))),
                Err(error) => ("the worker", background::how(error)),
            },
            Some(ended) = self.acl_server.join_next() => ("the ACL service", how(ended)),
            Some(ended) = self.audit_writer.join_next() => ("the writer of the audit log", how(ended)),
            () = self.database.has_ended() => ("the database's thread", how(Ok(()))),
        };
        format!("{part} {how}")
    }

    /// Stops the ACL service only.
    pub(crate) async fn stop_acl(&mut self) {
        self.acl_shutdown.warm.cancel();
        ended(&mut self.acl_server).await;
    }
}

fn authorizer(config: &Config, acl: SocketAddr, audit_log: AuditLog) -> anyhow::Result<Authorizer> {
    config.worker.outgoing.proxies.announce();
    let (_, callbacks) = config.worker.clients()?;
    // The ACL service is in this process, so no proxy leads to it.
    let acl = AclClient::new(
        format!("http://{acl}"),
        tls::client_config(None)?,
        &Proxies::default(),
    )?;
    Ok(Authorizer::new(acl, callbacks, audit_log))
}

fn serve(
    listener: TcpListener,
    router: Router,
    access_log: AccessLog,
    shutdown: &GracefulShutdown,
) -> JoinSet<()> {
    let mut server = JoinSet::new();
    let shutdown = shutdown.clone();
    server.spawn(http::serve_logging(
        listener,
        router,
        Limits::default(),
        access_log,
        shutdown,
    ));
    server
}

fn how(ended: Result<(), JoinError>) -> String {
    ended.map_or_else(background::how, |()| "stopped unexpectedly".to_owned())
}

/// Gives the database a moment to close after the drain limit, but none after a second signal.
async fn closing_limit(shutdown: &GracefulShutdown) {
    shutdown.drain_limit().await;
    tokio::select! {
        () = shutdown.cold.cancelled() => {}
        () = sleep(CLOSING) => {}
    }
}

async fn ended<T: 'static>(part: &mut JoinSet<T>) {
    while part.join_next().await.is_some() {}
}

/// Returns the address at which a listener can be reached from this machine.
fn reachable(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::RunFlags;
    use service_kit::env::Env;

    /// Starts services on free ports, lets `plant` damage one of them, and returns the error.
    async fn trouble_after(plant: impl AsyncFnOnce(&mut Services)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let flags = RunFlags::on_free_ports(directory.path().join("a.db"));
        let config = Config::read(&Env::default(), &flags).unwrap();
        let (readiness, shutdown) = (Readiness::new(), GracefulShutdown::manual());
        let mut services = Services::start(&config, &readiness, &shutdown).await.unwrap();
        plant(&mut services).await;
        let trouble = services.run_until(&shutdown).await.unwrap_err().to_string();
        assert!(shutdown.warm.is_cancelled());
        let missing = readiness.missing();
        let reason = missing.get("services").map(String::as_str).unwrap_or_default();
        assert!(
            !reason.is_empty() && trouble.starts_with(reason),
            "{missing:?}, {trouble}"
        );
        trouble
    }

    #[tokio::test]
    async fn each_part_is_watched() {
        let api = trouble_after(async |services| {
            services.api_server.spawn(async { panic!("planted") });
        });
        assert!(api.await.starts_with("the public API panicked: planted;"));
        let acl = trouble_after(async |services| {
            services.acl_server.spawn(async { panic!("planted") });
        });
        assert!(acl.await.starts_with("the ACL service panicked: planted;"));
        let worker = trouble_after(async |services| {
            services.runner.spawn(async { panic!("planted") });
        });
        assert!(worker.await.starts_with("the worker panicked: planted;"));
        let audit = trouble_after(async |services| {
            services.audit_writer.spawn(async { panic!("planted") });
        });
        assert!(
            audit
                .await
                .starts_with("the writer of the audit log panicked: planted;")
        );
        let database = trouble_after(async |services| {
            let planted = services
                .database
                .write(|_| -> rusqlite::Result<()> { panic!("planted") });
            assert!(planted.await.is_err());
        });
        assert!(
            database
                .await
                .starts_with("the database's thread stopped unexpectedly;")
        );
    }
}
