//! The checks of certificates and proxies for callbacks.

use callback_client::tls;
use explain::explain;
use service_kit::check::Check;

use crate::config::Config;

/// Adds the certificates and proxies of callbacks, if any are configured.
pub fn callbacks(check: &mut Check, config: &Config) {
    if let Some(bundle) = config.outgoing.ca_bundle.clone() {
        check.look(format!("CA certificates {}", bundle.display()), async move {
            // Reading blocks if the file is a pipe without a writer.
            let looked = tokio::task::spawn_blocking(move || {
                let config = tls::client_config(Some(&bundle)).map_err(|why| explain(&why));
                config.map(drop)
            });
            match looked.await.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(()) => Ok("can be used".to_owned()),
                Err(why) => Err(format!("{why}; set REQUESTS_CA_BUNDLE")),
            }
        });
    }
    for server in config.outgoing.proxies.servers() {
        let at = format!("proxy {}:{} of {}", server.host, server.port, server.variable);
        check.server(at, &server.host, server.port, "start it, or unset the variable");
    }
}
