//! What `--check` looks at: everything that the worker needs.

#[cfg(feature = "servers")]
mod servers;

use service_kit::check::Check;
use service_kit::explain::explain;

#[cfg(feature = "servers")]
pub(crate) use self::servers::{audit_log, brokers, file, task};
use crate::callback::tls;
use crate::config::Config;

/// Adds what callbacks are made with: certificates and proxies, if any are configured.
pub fn callbacks(check: &mut Check, config: &Config) {
    if let Some(bundle) = config.ca_bundle.clone() {
        check.look(format!("CA certificates {}", bundle.display()), async move {
            match tls::client_config(Some(&bundle)) {
                Ok(_) => Ok("can be used".to_owned()),
                Err(why) => Err(format!("{}; set REQUESTS_CA_BUNDLE", explain(&why))),
            }
        });
    }
    for server in config.proxies.servers() {
        let at = format!("proxy {}:{} of {}", server.host, server.port, server.variable);
        check.server(at, &server.host, server.port, "start it, or unset the variable");
    }
}
