//! What the broker is told about a delivery, exactly once.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicRejectOptions};

use crate::task::{DeliveryInfo, Outcome};

/// What the broker is told (contract E.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// `basic.ack`.
    Ack,
    /// `basic.reject`.
    Reject {
        /// Whether the broker shall deliver it again.
        requeue: bool,
    },
}

impl Settlement {
    /// How a message that is acked late is settled after its run, unless its task is registered otherwise (contract
    /// E.1, `acks_late` rows).
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Succeeded(_)
            | Outcome::Failed(_)
            | Outcome::TimedOut(_)
            | Outcome::Retried { .. }
            | Outcome::Ignored => Self::Ack,
            Outcome::Rejected { requeue, .. } => Self::Reject { requeue: *requeue },
        }
    }
}

/// A message that the broker waits to hear about. Settling consumes it, so a double ack does not compile; a
/// delivery that is dropped instead returns to its queue when the channel closes.
#[derive(Debug)]
pub(crate) struct Delivery {
    acker: Acker,
    /// Which consumer it came by; see [`super::broker::Link`].
    pub(crate) consumer: u64,
    pub(crate) info: DeliveryInfo,
}

impl Delivery {
    pub(crate) fn new(delivery: &lapin::message::Delivery, consumer: u64) -> Self {
        Self {
            acker: delivery.acker.clone(),
            consumer,
            info: DeliveryInfo {
                exchange: delivery.exchange.as_str().to_owned(),
                routing_key: delivery.routing_key.as_str().to_owned(),
                redelivered: delivery.redelivered,
            },
        }
    }

    /// Tells the broker. The future says whether the words could be sent: on a channel that is gone they
    /// cannot, and the broker delivers the message again.
    pub(crate) fn settle(self, settlement: Settlement) -> BoxFuture<'static, bool> {
        let acker = self.acker;
        async move {
            let sent = match settlement {
                Settlement::Ack => acker.ack(BasicAckOptions::default()).await,
                Settlement::Reject { requeue } => acker.reject(BasicRejectOptions { requeue }).await,
            };
            matches!(sent, Ok(true))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use celery_protocol::Value;

    use super::*;
    use crate::exception::Exception;
    use crate::registry::Registry;
    use crate::task::When;
    use crate::task_options::TaskOptions;

    #[test]
    fn late_acks_follow_the_outcome() {
        let failed = Outcome::Failed(Exception::new("ValueError", "boom"));
        let retried = Outcome::Retried {
            when: When::In(std::time::Duration::from_secs(1)),
            exception: None,
        };
        let rejected = |requeue| Outcome::Rejected {
            requeue,
            reason: "no thanks".to_owned(),
        };
        assert_eq!(Settlement::of(&Outcome::Succeeded(Value::None)), Settlement::Ack);
        assert_eq!(Settlement::of(&failed), Settlement::Ack);
        assert_eq!(Settlement::of(&Outcome::TimedOut(2.0)), Settlement::Ack);
        assert_eq!(Settlement::of(&retried), Settlement::Ack);
        assert_eq!(Settlement::of(&Outcome::Ignored), Settlement::Ack);
        assert_eq!(
            Settlement::of(&rejected(true)),
            Settlement::Reject { requeue: true }
        );
        assert_eq!(
            Settlement::of(&rejected(false)),
            Settlement::Reject { requeue: false }
        );
    }
    #[test]
    fn a_task_may_keep_its_failures_from_being_acked() {
        let mut registry = Registry::new();
        let options = TaskOptions {
            acks_on_failure: false,
            acks_on_timeout: false,
            ..TaskOptions::named("demo.fail")
        };
        registry.register(options, |_| async { Ok(Value::None) });
        let task = registry.get("demo.fail").unwrap();
        let failed = Outcome::Failed(Exception::new("ValueError", "boom"));
        assert_eq!(task.settlement(&failed), Settlement::Reject { requeue: false });
        assert_eq!(
            task.settlement(&Outcome::TimedOut(2.0)),
            Settlement::Reject { requeue: true }
        );
        assert_eq!(task.settlement(&Outcome::Ignored), Settlement::Ack);
    }
}
