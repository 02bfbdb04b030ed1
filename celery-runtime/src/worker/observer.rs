//! Checks of a link's queues without consuming.

use std::sync::Arc;

use explain::explain;
use lapin::Channel;

use crate::amqp::declaration;

/// Checks a link's queues on a separate channel, because an error on it must not end the consumers' channel.
#[derive(Debug, Clone)]
pub(crate) struct Observer {
    channel: Channel,
    queues: Arc<[String]>,
}

impl Observer {
    pub(crate) fn new(channel: Channel, queues: Arc<[String]>) -> Self {
        Self { channel, queues }
    }

    /// Returns how many messages are ready in all the queues, or why the broker does not report it.
    pub(crate) async fn ready_messages(&self) -> Result<u32, String> {
        let mut ready: u32 = 0;
        for queue in &*self.queues {
            let count = declaration::ready_messages(&self.channel, queue).await;
            ready = ready.saturating_add(count.map_err(|error| explain(&error))?);
        }
        Ok(ready)
    }
}
