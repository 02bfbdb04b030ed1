//! The worker's parts, wired as in the worker.

use std::sync::Arc;
use std::time::Duration;

use callback_client::proxy::Proxies;
use callback_client::target_policy::TargetPolicy;
use callback_client::{CallbackClient, CallbackConfig, tls};
use worker::acl_client::AclClient;
use worker::audit_log::redis::RedisAuditLog;
use worker::audit_log::{AuditLog, AuditSink};
use worker::authorize::Authorizer;

/// Returns a callback client that may call any address.
pub(crate) fn callback_client() -> CallbackClient {
    let config = CallbackConfig {
        timeout: Duration::from_secs(5),
        targets: TargetPolicy::Any,
        signing: None,
    };
    let tls = Arc::new(tls::client_config(None).unwrap());
    CallbackClient::new(config, tls, &Proxies::default())
}

/// Returns a client of the ACL service at this base URL.
pub(crate) fn acl_client(base_url: &str) -> AclClient {
    AclClient::new(
        base_url.to_owned(),
        tls::client_config(None).unwrap(),
        &Proxies::default(),
    )
    .unwrap()
}

/// Returns an audit log with its own readiness.
pub(crate) fn audit_log(sink: impl AuditSink) -> AuditLog {
    AuditLog::new(sink, service_kit::readiness::Readiness::new().part("audit log"))
}

/// Returns a complete authorizer with its audit log in Redis.
pub(crate) fn authorizer(acl_url: &str, redis: &harness::Redis) -> Authorizer {
    let sink = RedisAuditLog::new("127.0.0.1", redis.port()).unwrap();
    Authorizer::new(acl_client(acl_url), callback_client(), audit_log(sink))
}

/// Starts a stand-in for the ACL service that answers every request with this body.
pub(crate) async fn acl_service(body: &'static str) -> harness::Receiver {
    let reply = move |_: &harness::Received| {
        harness::Reply::Answer(
            200,
            vec![("Content-Type".into(), "application/json".into())],
            body.into(),
        )
    };
    harness::Receiver::start_with(reply).await
}
