//! Clients as a program makes them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callback_client::proxy::Proxies;
use callback_client::target_policy::TargetPolicy;
use callback_client::{CallbackClient, CallbackConfig, tls};

/// A client that may go anywhere.
pub(crate) fn client(timeout: Duration, proxies: &Proxies) -> CallbackClient {
    trusting(None, timeout, proxies)
}

/// The same with other CA certificates than Mozilla's.
pub(crate) fn trusting(ca: Option<&Path>, timeout: Duration, proxies: &Proxies) -> CallbackClient {
    CallbackClient::new(
        config(timeout),
        Arc::new(tls::client_config(ca).unwrap()),
        proxies,
    )
}

/// The configuration of both.
pub(crate) fn config(timeout: Duration) -> CallbackConfig {
    CallbackConfig {
        timeout,
        targets: TargetPolicy::Any,
        signing: None,
    }
}
