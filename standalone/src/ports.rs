//! The two ports: listens on both, or reports why that is not possible and how to choose others.

use std::fmt;

use anyhow::bail;
use service_kit::http::{BindError, ListenAddress};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::database;

/// A service that listens, and how its port is configured.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) flag: &'static str,
    pub(crate) variable: &'static str,
}

pub(crate) const API: Service = Service {
    name: "the public API",
    flag: "--api-port",
    variable: "STANDALONE_API_PORT",
};
pub(crate) const ACL: Service = Service {
    name: "the ACL service",
    flag: "--acl-port",
    variable: "AUTHORIZATION_SERVICE_PORT",
};

/// Listens for the public API and for the ACL service.
///
/// # Errors
///
/// In one sentence, which covers both ports if both are taken.
pub(crate) async fn listen(config: &Config) -> anyhow::Result<(TcpListener, TcpListener)> {
    if config.api == config.acl && config.api.port() != 0 {
        bail!(
            "{} and {} cannot both listen on {}; choose another port for one of them: {} or {}",
            API.name,
            ACL.name,
            config.api,
            API.flag,
            ACL.flag
        );
    }
    let failures = match (config.api.bind().await, config.acl.bind().await) {
        (Ok(api), Ok(acl)) => return Ok((api, acl)),
        (api, acl) => [
            api.err().map(|error| (API, error)),
            acl.err().map(|error| (ACL, error)),
        ],
    };
    let failures: Vec<(Service, BindError)> = failures.into_iter().flatten().collect();
    if !failures.iter().all(|(_, error)| error.is_in_use()) {
        let failures: Vec<String> = failures.iter().map(explained).collect();
        bail!("{}", failures.join("; "));
    }
    let taken = Taken(
        failures
            .iter()
            .map(|(service, error)| (service, error.address()))
            .collect(),
    );
    if let Some(holder) = database::holder(&config.database) {
        bail!(
            "cannot listen on {taken}: standalone is already running ({holder}, with the database {}); stop it, or start this \
             one with another database and other ports: {}",
            config.database.display(),
            taken.others(Some("other.db"))
        );
    }
    let advice = match failures.len() {
        1 => "another program uses this port; stop it, or choose another port",
        _ => "other programs use these ports; stop them, or choose other ports",
    };
    bail!("cannot listen on {taken}: {advice}: {}", taken.others(None))
}

fn explained((service, error): &(Service, BindError)) -> String {
    let Service { name, flag, variable } = service;
    format!("{error} (the address of {name}: --host and {flag}, or STANDALONE_HOST and {variable})")
}

/// Addresses that other programs listen on.
struct Taken<'t>(Vec<(&'t Service, &'t ListenAddress)>);

impl Taken<'_> {
    /// Returns how to choose the next ports instead, and another database if one is given.
    fn others(&self, database: Option<&str>) -> String {
        let next = |address: &ListenAddress| address.port().checked_add(1).unwrap_or(1024);
        let mut flags: Vec<String> = self
            .0
            .iter()
            .map(|(service, address)| format!("{} {}", service.flag, next(address)))
            .collect();
        let mut variables: Vec<String> = self
            .0
            .iter()
            .map(|(service, address)| format!("{}={}", service.variable, next(address)))
            .collect();
        if let Some(database) = database {
            flags.push(format!("--database {database}"));
            variables.push(format!("STANDALONE_DATABASE={database}"));
        }
        format!("{}, or {} make run", flags.join(" "), variables.join(" "))
    }
}

impl fmt::Display for Taken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (service, address)) in self.0.iter().enumerate() {
            let and = if index > 0 { " and " } else { "" };
            write!(f, "{and}{address} for {}", service.name)?;
        }
        Ok(())
    }
}
