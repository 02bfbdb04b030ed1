//! The variables that the program reads: its own, and those of the worker that have the same meaning here.

use service_kit::admin::ADMIN_ADDRESS;
use service_kit::env::{BadEnvironment, Env, Variable};
use service_kit::http::ACCESS_LOG;
use service_kit::telemetry::RUST_LOG;

pub(crate) const STANDALONE_HOST: Variable = Variable {
    name: "STANDALONE_HOST",
    default: Some("127.0.0.1"),
    meaning: "address to listen on; --host",
};
pub(crate) const STANDALONE_API_PORT: Variable = Variable {
    name: "STANDALONE_API_PORT",
    default: Some("8080"),
    meaning: "port of the public API; --api-port",
};
pub(crate) const AUTHORIZATION_SERVICE_PORT: Variable = Variable {
    name: "AUTHORIZATION_SERVICE_PORT",
    default: Some("5000"),
    meaning: "port of the ACL service; --acl-port",
};
pub(crate) const STANDALONE_DATABASE: Variable = Variable {
    name: "STANDALONE_DATABASE",
    default: Some("cp-auth.db"),
    meaning: "file for all data; --database",
};
pub(crate) const AUTHORIZATION_TIMEOUT_SEC: Variable = Variable {
    name: "AUTHORIZATION_TIMEOUT_SEC",
    default: Some("5"),
    meaning: "whole seconds after which an accepted request is called back with status unknown",
};

/// The worker's variable; here, only callbacks use TLS.
const REQUESTS_CA_BUNDLE: Variable = Variable {
    name: "REQUESTS_CA_BUNDLE",
    default: None,
    meaning: "file with the CA certificates to trust for callbacks; if unset, Mozilla's",
};

const OWN: [Variable; 9] = [
    STANDALONE_HOST,
    STANDALONE_API_PORT,
    AUTHORIZATION_SERVICE_PORT,
    STANDALONE_DATABASE,
    AUTHORIZATION_TIMEOUT_SEC,
    REQUESTS_CA_BUNDLE,
    ADMIN_ADDRESS,
    ACCESS_LOG,
    RUST_LOG,
];

/// The variables of the worker that have the same meaning here.
const OF_THE_WORKER: [&str; 11] = [
    "CALLBACK_TIMEOUT_SEC",
    "CALLBACK_NETWORKS",
    "CALLBACK_SIGNING_SECRET",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Variables of the three services that have no meaning without a broker, Redis and a second host.
const WITHOUT_EFFECT: [&str; 7] = [
    "BROKER_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "ELASTICSEARCH_URL",
    "AUTHORIZATION_SERVICE_URL",
    "FLASK_RUN_HOST",
    "FLASK_RUN_PORT",
];

/// Returns every variable that the program reads.
pub fn variables() -> Vec<Variable> {
    let of_the_worker = worker::config::VARIABLES
        .iter()
        .filter(|variable| OF_THE_WORKER.contains(&variable.name));
    OWN.iter().chain(of_the_worker).copied().collect()
}

/// Returns the environment without variables that this program does not read, so that a broken `REDIS_PORT` does no
/// harm.
pub(crate) fn only_ours(env: &Env) -> Result<Env, BadEnvironment> {
    const NAMES: [&str; OWN.len() + OF_THE_WORKER.len()] = {
        let mut names = [""; OWN.len() + OF_THE_WORKER.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = if index < OWN.len() {
                OWN[index].name
            } else {
                OF_THE_WORKER[index - OWN.len()]
            };
            index += 1;
        }
        names
    };
    let mut reader = env.reader();
    let values = NAMES.map(|name| (name, reader.optional(&named(name)).unwrap_or_default()));
    reader.finish()?;
    Ok(Env::from_pairs(
        values.each_ref().map(|(name, value)| (*name, value.as_str())),
    ))
}

/// Returns the variables that are set but have no effect.
pub(crate) fn without_effect(env: &Env) -> Vec<&'static str> {
    let mut reader = env.reader();
    WITHOUT_EFFECT
        .into_iter()
        .filter(|name| reader.optional(&named(name)).is_some())
        .collect()
}

fn named(name: &'static str) -> Variable {
    Variable {
        name,
        default: None,
        meaning: "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_has_the_variables_that_are_taken_from_it() {
        let upper_case = OF_THE_WORKER
            .iter()
            .filter(|name| name.bytes().all(|byte| !byte.is_ascii_lowercase()));
        assert_eq!(variables().len(), OWN.len() + upper_case.count());
    }
}
