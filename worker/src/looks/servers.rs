//! The checks of the servers and files that the worker needs.

use std::path::Path;

use celery_runtime::{BrokerUrl, broker_look};
use explain::{explain, root_cause};
use service_kit::check::{self, Check, Found};

use super::callbacks::callbacks;
use crate::audit_log::redis::RedisAuditLog;
use crate::config::{AuditLogConfig, Config, SpoolConfig};

/// Adds the brokers, with the queues to consume from. `name` is the name of the connection that the brokers show
/// meanwhile.
pub(crate) fn brokers(check: &mut Check, brokers: &BrokerUrl, name: &str, queues: &[String]) {
    for broker in brokers.alternatives() {
        let (name, queues) = (name.to_owned(), queues.to_owned());
        check.look(format!("RabbitMQ {broker}"), async move {
            match broker_look::look(&broker, &name, &queues).await {
                Ok(found) => Ok(found.to_string()),
                Err(why) => Err(format!(
                    "{}; check that RabbitMQ is running there and that BROKER_URL is correct",
                    why.reason()
                )),
            }
        });
    }
}

/// Adds what every authorization needs: the ACL service, and the certificates and proxies of callbacks.
pub(crate) fn task(check: &mut Check, config: &Config) {
    let acl_service = config.clone();
    let url = without_credentials(&config.acl.url);
    check.look(format!("ACL service {url}"), async move {
        let (acl, _) = acl_service.clients().map_err(|error| explain(&error))?;
        match acl.look().await {
            Ok(status) => Ok(format!("answers with status {status}")),
            Err(why) => Err(format!(
                "{}; start it, or set AUTHORIZATION_SERVICE_URL",
                root_cause(&why)
            )),
        }
    });
    callbacks(check, config);
}

/// Adds the audit log and its spool.
pub(crate) fn audit_log(check: &mut Check, config: &Config) {
    match config.audit_log.clone() {
        AuditLogConfig::None => {
            check.look("audit log", async {
                Ok("none: neither ELASTICSEARCH_URL nor REDIS_HOST is set".to_owned())
            });
            return;
        }
        #[cfg(feature = "elasticsearch")]
        AuditLogConfig::Elasticsearch(elasticsearch) => {
            let at = format!(
                "audit log in Elasticsearch {}",
                without_credentials(elasticsearch.url.as_ref())
            );
            check.look(at, async move {
                let answer = crate::audit_log::elasticsearch::look(&elasticsearch).await;
                // Errors quote the URL. If a password in it is not escaped, its path contains the rest of the password.
                let path = elasticsearch.url.path().trim_matches('/');
                let answer = answer.map_err(|error| {
                    let why = explain(&error);
                    if path.is_empty() {
                        why
                    } else {
                        why.replace(path, "**")
                    }
                });
                answered(answer, "start Elasticsearch, or set ELASTICSEARCH_URL")
            });
        }
        AuditLogConfig::Redis { host, port } => {
            check.look(format!("audit log in Redis {host}:{port}"), async move {
                let answer = RedisAuditLog::look(&host, port).await;
                let answer = answer.map_err(|error| explain(&error));
                answered(answer, "start Redis, or set REDIS_HOST and REDIS_PORT")
            });
        }
    }
    let spool = config.spool.clone();
    check.look(format!("audit spool {}", spool.path().display()), async move {
        // Opening blocks while another process has locked the file.
        let looked = tokio::task::spawn_blocking(move || spooled(&spool)).await;
        looked.unwrap_or_else(|error| Err(error.to_string()))
    });
}

fn answered(answer: Result<(), String>, advice: &str) -> Found {
    match answer {
        Ok(()) => Ok("answers".to_owned()),
        Err(why) => Err(format!("{why}; {advice}")),
    }
}

fn spooled(config: &SpoolConfig) -> Found {
    let spool = config.spool().map_err(|why| why.reason())?;
    let Some(spool) = spool else {
        return Err(
            "its directory is not writable, so there would be no spool; set AUDIT_SPOOL to a file in a writable directory"
                .to_owned(),
        );
    };
    match spool.left() {
        Some(left) if left.waiting > 0 => Ok(format!("is writable; records waiting in it: {}", left.waiting)),
        Some(_) => Ok("is writable".to_owned()),
        None => Err("its disk is full; make room, or set AUDIT_SPOOL".to_owned()),
    }
}

/// Adds a file that the command line names.
pub(crate) fn file(check: &mut Check, of: &str, path: &Path) {
    let path = path.to_owned();
    check.look(format!("{of} {}", path.display()), async move {
        // Opening blocks if the file is a pipe without a reader.
        let looked = tokio::task::spawn_blocking(move || check::writable(&path)).await;
        match looked.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(()) => Ok("is writable".to_owned()),
            Err(why) => Err(format!("{why}; choose another one")),
        }
    });
}

/// Returns the URL without the user and password that it may contain.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A password may contain `/`, `?` or `#`, which should have been escaped; so the last `@` of the whole URL counts.
    let (login, rest) = rest
        .rsplit_once('@')
        .map_or(("", rest), |(_, rest)| ("**@", rest));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    format!("{scheme}://{login}{}", &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("http://localhost:5000", "http://localhost:5000"),
            ("http://me:secret@acl:5000/x", "http://**@acl:5000"),
            ("http://me:x/secret@acl", "http://**@acl"),
            ("http://me:x?secret@acl", "http://**@acl"),
            ("http://me:1#secret@acl/y", "http://**@acl"),
            ("http://acl/?key=secret", "http://acl"),
            ("http://me:s@cret@acl", "http://**@acl"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
