//! A message that is settled exactly once.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicRejectOptions};

use crate::task::request::DeliveryInfo;
use crate::task::settlement::Settlement;

/// A message that the broker expects to be settled. Settling consumes it, so a double ack does not compile; a
/// delivery that is dropped instead returns to its queue when the channel closes.
#[derive(Debug)]
pub(crate) struct Delivery {
    acker: Acker,
    /// The generation of the consumer that received it; see [`super::qos::Qos`].
    pub(crate) generation: u64,
    pub(crate) info: Arc<DeliveryInfo>,
}

impl Delivery {
    pub(crate) fn new(delivery: &lapin::message::Delivery, generation: u64) -> Self {
        Self {
            acker: delivery.acker.clone(),
            generation,
            info: Arc::new(DeliveryInfo {
                exchange: delivery.exchange.as_str().to_owned(),
                routing_key: delivery.routing_key.as_str().to_owned(),
                redelivered: delivery.redelivered,
            }),
        }
    }

    /// Sends the settlement. The future returns whether it could be sent: on a closed channel it cannot, and the
    /// broker redelivers the message.
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
