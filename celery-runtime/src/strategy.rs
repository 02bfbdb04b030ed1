//! What is to be done with a message that has arrived: Celery's `worker/strategy.py`, decided by value.

use std::sync::Arc;

use celery_protocol::{DecodeError, Incoming, Message, TaskMessage};
use jiff::Timestamp;

use crate::registry::{RegisteredTask, Registry};

/// What to do with a message.
#[derive(Debug)]
pub enum Disposition {
    /// Run it as soon as a slot is free.
    Start(Box<TaskMessage>, Arc<RegisteredTask>),
    /// Keep it until its ETA (contract E.3).
    Hold(Timestamp, Box<TaskMessage>, Arc<RegisteredTask>),
    /// Its `expires` time has passed: ack it, without running it (contract E.3).
    Expired(Box<TaskMessage>),
    /// Nobody here knows the task: reject it (contract E.2).
    Unregistered(Box<Incoming>),
    /// It is no task message that can be run: ack or reject it as the error says (contract E.2).
    Refuse(DecodeError),
}

/// Decides in Celery's own order: the name first, then the body, then the times.
pub fn decide(message: Message, registry: &Registry, now: Timestamp) -> Disposition {
    let incoming = match Incoming::identify(message) {
        Ok(incoming) => incoming,
        Err(error) => return Disposition::Refuse(error),
    };
    let Some(task) = registry.get(incoming.task()) else {
        return Disposition::Unregistered(Box::new(incoming));
    };
    let task = Arc::clone(task);
    match incoming.decode().map(Box::new) {
        Err(error) => Disposition::Refuse(error),
        Ok(message) if is_expired(&message, now) => Disposition::Expired(message),
        Ok(message) => match message.eta.map(|eta| eta.timestamp()) {
            Some(eta) if eta > now => Disposition::Hold(eta, message, task),
            _ => Disposition::Start(message, task),
        },
    }
}

/// Checked on arrival and again when the run would start (contract E.3).
pub(super) fn is_expired(message: &TaskMessage, now: Timestamp) -> bool {
    message.expires.is_some_and(|expires| now >= expires.timestamp())
}

#[cfg(test)]
mod tests {
    use celery_protocol::{Sender, TaskCall, Value};
    use jiff::SignedDuration;

    use super::*;
    use crate::task_options::TaskOptions;

    fn call(task: &str) -> TaskCall {
        let sender = Sender {
            origin: "gen1@host".to_owned(),
            reply_to: "r".to_owned(),
        };
        TaskCall::new(task, "42", &sender)
    }

    /// The name of the disposition of this message.
    fn decided(message: Message, now: Timestamp) -> &'static str {
        let mut registry = Registry::new();
        registry.register(TaskOptions::named("demo.echo"), |_| async { Ok(Value::None) });
        match decide(message, &registry, now) {
            Disposition::Start(..) => "start",
            Disposition::Hold(..) => "hold",
            Disposition::Expired(_) => "expired",
            Disposition::Unregistered(_) => "unregistered",
            Disposition::Refuse(_) => "refuse",
        }
    }

    #[test]
    fn times_decide_about_a_known_task() {
        let now = Timestamp::now();
        let (past, future) = (
            now - SignedDuration::from_secs(9),
            now + SignedDuration::from_secs(9),
        );
        let with = |eta: Option<Timestamp>, expires: Option<Timestamp>| {
            let mut call = call("demo.echo");
            call.eta = eta.map(|time| time.to_string());
            call.expires = expires.map(|time| time.to_string());
            call.encode()
        };
        assert_eq!(decided(with(None, None), now), "start");
        assert_eq!(decided(with(Some(past), None), now), "start");
        assert_eq!(decided(with(Some(future), None), now), "hold");
        assert_eq!(decided(with(None, Some(future)), now), "start");
        assert_eq!(decided(with(None, Some(past)), now), "expired");
        assert_eq!(decided(with(Some(future), Some(past)), now), "expired");
    }

    #[test]
    fn the_name_comes_before_the_body() {
        let now = Timestamp::now();
        let mut unknown = call("no.such.task").encode();
        unknown.body = b"not json".to_vec();
        assert_eq!(decided(unknown, now), "unregistered");
        let mut known = call("demo.echo").encode();
        known.body = b"not json".to_vec();
        assert_eq!(decided(known, now), "refuse");
        assert_eq!(decided(Message::default(), now), "refuse");
    }
}
