//! A message that is settled exactly once.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicRejectOptions};

use crate::settlement::Settlement;
use crate::task::DeliveryInfo;

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
