//! Checks a broker from outside, for programs that are about to start a producer or a worker.

use std::fmt;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::connection::{self, BrokerError};
use crate::amqp::declaration;

/// The result of a check: which of the requested queues exist on the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerLook {
    /// The queues that exist.
    pub present: Vec<String>,
    /// The queues that do not exist; producers and workers declare them when they start.
    pub missing: Vec<String>,
}

/// Connects to the first broker of `url`, logs in, and declares `queues` passively. It creates, consumes and
/// changes nothing and leaves no connection open. `name` is shown as the connection's name in the broker's
/// management.
///
/// # Errors
///
/// [`BrokerError`] if the broker cannot be reached within a few seconds, refuses the login, or denies access to a
/// queue.
pub async fn look(
    url: &BrokerUrl,
    name: &str,
    queues: &[impl AsRef<str>],
) -> Result<BrokerLook, BrokerError> {
    let connection = connection::connect(url, 0, name).await?;
    let mut found = BrokerLook {
        present: Vec::new(),
        missing: Vec::new(),
    };
    let looked = async {
        for queue in queues.iter().map(AsRef::as_ref) {
            let side = if declaration::queue_exists(&connection, queue).await? {
                &mut found.present
            } else {
                &mut found.missing
            };
            side.push(queue.to_owned());
        }
        Ok(())
    };
    let looked = looked.await;
    connection::close(&connection, "checked").await;
    looked.map(|()| found)
}

impl fmt::Display for BrokerLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, verb) = match self.missing.len() {
            1 => ("queue", "does"),
            _ => ("queues", "do"),
        };
        if !self.present.is_empty() {
            let (noun, verb) = match self.present.len() {
                1 => ("queue", "exists"),
                _ => ("queues", "exist"),
            };
            write!(f, "{noun} {} {verb}", self.present.join(", "))?;
        }
        if !self.present.is_empty() && !self.missing.is_empty() {
            f.write_str("; ")?;
        }
        if !self.missing.is_empty() {
            let missing = self.missing.join(", ");
            write!(
                f,
                "{noun} {missing} {verb} not exist yet and will be declared at start-up"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existing_and_missing_queues_are_named() {
        let shown = |present: &[&str], missing: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let look = BrokerLook {
                present: owned(present),
                missing: owned(missing),
            };
            look.to_string()
        };
        assert_eq!(shown(&["celery"], &[]), "queue celery exists");
        assert_eq!(
            shown(&[], &["celery"]),
            "queue celery does not exist yet and will be declared at start-up"
        );
        assert_eq!(
            shown(&["a", "b"], &["c", "d"]),
            "queues a, b exist; queues c, d do not exist yet and will be declared at start-up"
        );
    }
}
