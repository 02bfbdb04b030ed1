//! Clients, created as in a program.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callback_client::proxy::Proxies;
use callback_client::target_policy::TargetPolicy;
use callback_client::{CallbackClient, CallbackConfig, tls};

/// Returns a client that may call any address.
pub(crate) fn client(timeout: Duration, proxies: &Proxies) -> CallbackClient {
    trusting(None, timeout, proxies)
}

/// Returns the same with CA certificates other than Mozilla's.
pub(crate) fn trusting(ca: Option<&Path>, timeout: Duration, proxies: &Proxies) -> CallbackClient {
    CallbackClient::new(
        config(timeout),
        Arc::new(tls::client_config(ca).unwrap()),
        proxies,
    )
}

/// Returns the configuration of both.
pub(crate) fn config(timeout: Duration) -> CallbackConfig {
    CallbackConfig {
        timeout,
        targets: TargetPolicy::Any,
        signing: None,
    }
}
