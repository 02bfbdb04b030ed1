//! The worker's parts, wired as the worker wires them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use worker::acl_client::AclClient;
use worker::audit_log::redis::RedisAuditLog;
use worker::audit_log::{AuditLog, AuditSink};
use worker::authorize::Authorizer;
use worker::callback::proxy::Proxies;
use worker::callback::{CallbackClient, tls};

/// A callback client that may go anywhere.
pub(crate) fn callback_client(timeout: Duration, proxies: &Proxies) -> CallbackClient {
    callback_client_trusting(None, timeout, proxies)
}

/// The same with other CA certificates than Mozilla's.
pub(crate) fn callback_client_trusting(
    ca: Option<&Path>,
    timeout: Duration,
    proxies: &Proxies,
) -> CallbackClient {
    let tls = tls::client_config(ca).unwrap();
    CallbackClient::new("any".parse().unwrap(), Arc::new(tls), proxies, timeout)
}

/// A client of the ACL service at this base URL.
pub(crate) fn acl_client(base_url: &str) -> AclClient {
    AclClient::new(
        base_url.to_owned(),
        tls::client_config(None).unwrap(),
        &Proxies::default(),
    )
    .unwrap()
}

/// An audit log with its own readiness.
pub(crate) fn audit_log(sink: impl AuditSink) -> AuditLog {
    AuditLog::new(sink, service_kit::readiness::Readiness::new().part("audit log"))
}

/// A whole authorizer on Redis.
pub(crate) fn authorizer(acl_url: &str, redis: &harness::Redis) -> Authorizer {
    let sink = RedisAuditLog::new("127.0.0.1", redis.port()).unwrap();
    let callbacks = callback_client(Duration::from_secs(5), &Proxies::default());
    Authorizer::new(acl_client(acl_url), callbacks, audit_log(sink))
}

/// A stand-in for the ACL service that answers everything with this body.
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
