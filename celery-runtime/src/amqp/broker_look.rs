//! A look at a broker from outside, for whoever is about to start a producer or a worker.

use std::fmt;

use crate::amqp::broker_url::BrokerUrl;
use crate::amqp::connection::{self, BrokerError};
use crate::amqp::declaration;

/// What a broker that lets us in has of the queues that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerLook {
    /// The queues that are there.
    pub present: Vec<String>,
    /// Those that are not; producers and workers declare them at their start.
    pub missing: Vec<String>,
}

/// Connects to the first broker of `url`, logs in, and looks passively for `queues`. Declares, consumes and changes nothing,
/// and leaves no connection. `name` is what the broker's management shows meanwhile.
///
/// # Errors
///
/// [`BrokerError`]: the broker cannot be reached within a few seconds, does not let us in, or does not let us see a queue.
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
    connection::close(&connection, "looked").await;
    looked.map(|()| found)
}

impl fmt::Display for BrokerLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, is, they) = match self.missing.len() {
            1 => ("queue", "is", "it is"),
            _ => ("queues", "are", "they are"),
        };
        if !self.present.is_empty() {
            let (noun, is) = match self.present.len() {
                1 => ("queue", "is"),
                _ => ("queues", "are"),
            };
            write!(f, "{noun} {} {is} there", self.present.join(", "))?;
        }
        if !self.present.is_empty() && !self.missing.is_empty() {
            f.write_str("; ")?;
        }
        if !self.missing.is_empty() {
            let missing = self.missing.join(", ");
            write!(
                f,
                "{noun} {missing} {is} not there yet; {they} declared at the start"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_named_with_what_becomes_of_them() {
        let shown = |present: &[&str], missing: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let look = BrokerLook {
                present: owned(present),
                missing: owned(missing),
            };
            look.to_string()
        };
        assert_eq!(shown(&["celery"], &[]), "queue celery is there");
        assert_eq!(
            shown(&[], &["celery"]),
            "queue celery is not there yet; it is declared at the start"
        );
        assert_eq!(
            shown(&["a", "b"], &["c", "d"]),
            "queues a, b are there; queues c, d are not there yet; they are declared at the start"
        );
    }
}
