//! The settlement of a message after its run.

use celery_protocol::{DecodeError, Refusal};

use super::outcome::Outcome;

/// The settlement that is sent to the broker (contract E.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// `basic.ack`.
    Ack,
    /// `basic.reject`.
    Reject {
        /// Whether the broker redelivers the message.
        requeue: bool,
    },
}

impl Settlement {
    /// Returns the settlement of a message that cannot be run: an undecodable body is acked so that it cannot loop,
    /// and everything else that is not a task message is rejected (contract E.2).
    pub fn of_refusal(error: &DecodeError) -> Self {
        match error.settlement() {
            Refusal::Ack => Self::Ack,
            Refusal::Reject => Self::Reject { requeue: false },
        }
    }

    /// Returns the settlement of a message that is acked late, after its run, unless its task is registered
    /// otherwise (contract E.1, `acks_late` rows).
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

#[cfg(test)]
mod tests {
    use celery_protocol::Value;

    use super::*;
    use crate::task::exception::Exception;
    use crate::task::options::TaskOptions;
    use crate::task::outcome::When;
    use crate::task::registry::Registry;

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
    fn a_task_can_have_its_failures_rejected() {
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
