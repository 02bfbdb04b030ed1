//! Messages from the consumers of a channel.

use celery_protocol::Message;
use explain::explain;
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};

use super::delivery::Delivery;
use crate::amqp::connection::{self, BrokerError};
use crate::amqp::fields;

/// An event of a consumer.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "moved once on its way to the strategy; a box would cost more"
)]
pub(crate) enum Arrival {
    /// A message.
    Message(Delivery, Message),
    /// A consumer of this generation has ended: the connection was lost, or the broker cancelled it.
    Ended(u64, String),
}

/// The arrivals of all consumers, each consumer's in order.
pub(crate) type Arrivals = SelectAll<BoxStream<'static, Arrival>>;

/// Counts consumers over the lifetime of the process: tags are `None1`, `None2`, … as in Celery (contract B.3).
#[derive(Debug, Default)]
pub(crate) struct TagCounter(u64);

impl TagCounter {
    pub(crate) fn next(&mut self) -> String {
        self.0 += 1;
        format!("None{}", self.0)
    }
}

/// A consumer to start: its queue and its tag.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) queue: String,
    pub(crate) tag: String,
}

/// Starts one consumer per subscription, each with its own window.
pub(crate) async fn consume(
    channel: &Channel,
    window: u16,
    generation: u64,
    subscriptions: &[Subscription],
    arguments: &FieldTable,
) -> Result<Vec<BoxStream<'static, Arrival>>, BrokerError> {
    channel
        .basic_qos(window, BasicQosOptions { global: false })
        .await
        .map_err(BrokerError::refused("set the prefetch count"))?;
    let mut streams = Vec::new();
    for Subscription { queue, tag } in subscriptions {
        let consumer = channel
            .basic_consume(
                connection::short(queue)?,
                connection::short(tag)?,
                BasicConsumeOptions::default(),
                arguments.clone(),
            )
            .await
            .map_err(BrokerError::refused(format!("consume from queue {queue}")))?;
        streams.push(stream(consumer, generation));
    }
    Ok(streams)
}

/// Cancels consumers; messages in flight to them still arrive.
pub(crate) async fn cancel(channel: &Channel, subscriptions: &[Subscription]) -> Result<(), BrokerError> {
    for Subscription { tag, .. } in subscriptions {
        channel
            .basic_cancel(connection::short(tag)?, BasicCancelOptions::default())
            .await
            .map_err(BrokerError::refused(format!("cancel consumer {tag}")))?;
    }
    Ok(())
}

fn stream(consumer: Consumer, generation: u64) -> BoxStream<'static, Arrival> {
    let queue = consumer.queue();
    let cancelled = Arrival::Ended(
        generation,
        format!("the broker cancelled the consumer of queue {queue}"),
    );
    consumer
        .map(move |arrival| match arrival {
            Ok(mut delivery) => {
                let body = std::mem::take(&mut delivery.data);
                let message = fields::message_from(&delivery.properties, body);
                Arrival::Message(Delivery::new(&delivery, generation), message)
            }
            Err(error) => Arrival::Ended(generation, explain(&error)),
        })
        .chain(async { cancelled }.into_stream())
        .boxed()
}
