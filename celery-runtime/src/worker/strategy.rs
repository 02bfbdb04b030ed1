//! The decision on a message that has arrived: Celery's `worker/strategy.py`, with the decision as a value.

use std::sync::Arc;

use celery_protocol::{DecodeError, Incoming, Message, TaskMessage};
use jiff::Timestamp;

use crate::task::registry::{RegisteredTask, Registry};
use crate::task::request::{DeliveryInfo, Request};

/// The decision on a message.
#[derive(Debug)]
pub enum Disposition {
    /// Run it as soon as a slot is free.
    Start(Request, Arc<RegisteredTask>),
    /// Keep it until its ETA (contract E.3).
    Hold(Timestamp, Request, Arc<RegisteredTask>),
    /// Its `expires` time has passed: ack it without running it (contract E.3).
    Expired(Request),
    /// Its task is not registered: reject it (contract E.2).
    Unregistered(Box<Incoming>),
    /// It is not a task message that can be run: ack or reject it as the error determines (contract E.2).
    Refuse(DecodeError),
}

/// Decides in Celery's own order: by the name, then the body, then the times. `info` is how the message was
/// delivered.
pub fn decide(message: Message, info: Arc<DeliveryInfo>, registry: &Registry, now: Timestamp) -> Disposition {
    let incoming = match Incoming::identify(message) {
        Ok(incoming) => incoming,
        Err(error) => return Disposition::Refuse(error),
    };
    let Some(task) = registry.get(incoming.task()) else {
        return Disposition::Unregistered(Box::new(incoming));
    };
    let task = Arc::clone(task);
    match incoming.decode().map(|message| Request::delivered(message, info)) {
        Err(error) => Disposition::Refuse(error),
        Ok(request) if is_expired(request.message(), now) => Disposition::Expired(request),
        Ok(request) => match request.message().eta.map(|eta| eta.timestamp()) {
            Some(eta) if eta > now => Disposition::Hold(eta, request, task),
            _ => Disposition::Start(request, task),
        },
    }
}

/// Returns whether the message has expired. This is checked on arrival and again when the run would start (contract
/// E.3).
pub(crate) fn is_expired(message: &TaskMessage, now: Timestamp) -> bool {
    message.expires.is_some_and(|expires| now >= expires.timestamp())
}

#[cfg(test)]
mod tests {
    use celery_protocol::{Sender, TaskCall, Value};
    use jiff::SignedDuration;

    use super::*;
    use crate::task::options::TaskOptions;

    fn call(task: &str) -> TaskCall {
        let sender = Sender {
            origin: "gen1@host".to_owned(),
            reply_to: "r".to_owned(),
        };
        TaskCall::new(task, "42", &sender)
    }

    /// Returns the name of this message's disposition.
    fn decided(message: Message, now: Timestamp) -> &'static str {
        let mut registry = Registry::new();
        registry.register(TaskOptions::named("demo.echo"), |_| async { Ok(Value::None) });
        match decide(message, Arc::default(), &registry, now) {
            Disposition::Start(..) => "start",
            Disposition::Hold(..) => "hold",
            Disposition::Expired(_) => "expired",
            Disposition::Unregistered(_) => "unregistered",
            Disposition::Refuse(_) => "refuse",
        }
    }

    #[test]
    fn times_decide_on_a_registered_task() {
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
    fn the_name_is_checked_before_the_body() {
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
