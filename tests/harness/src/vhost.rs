//! A virtual host of a [`Broker`](crate::broker::Broker): the queues, consumers and connections of one test.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::broker::Place;
use crate::erlang::binary;

/// A virtual host. Its figures are those of the queue itself at the time of the call, not the management plugin's
/// statistics.
#[derive(Debug, Clone)]
pub struct Vhost {
    name: String,
    place: Arc<Place>,
}

/// The number of messages and consumers of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that are waiting.
    pub ready: u64,
    /// Messages that have been delivered but not yet settled.
    pub unacked: u64,
    /// Consumers of the queue.
    pub consumers: u64,
}

/// A consumer of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The consumer tag.
    pub tag: String,
    /// The prefetch of this consumer (`basic.qos` with `global=false`), or 0 for no limit.
    pub prefetch: u64,
    /// The prefetch of the whole channel (`global=true`), or 0 for no limit.
    pub channel_prefetch: u64,
    /// Whether deliveries must be acknowledged.
    pub acks: bool,
}

impl Vhost {
    pub(crate) async fn create(place: Arc<Place>, name: &str) -> Self {
        place.manage("PUT", &format!("/vhosts/{name}"), &json!({})).await;
        Self {
            name: name.to_owned(),
            place,
        }
    }

    /// The name of the virtual host, which needs no escaping in URLs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL to use as `BROKER_URL`.
    pub fn amqp_url(&self) -> String {
        self.amqp_url_at(self.place.amqp_port)
    }

    /// The same URL with another port, such as that of a [`Proxy`](crate::Proxy).
    pub fn amqp_url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/{}", self.name)
    }

    /// The broker's AMQP address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.place.amqp_port)
    }

    /// The message and consumer counts of the queue; panics if there is no such queue.
    pub async fn queue(&self, name: &str) -> Depth {
        let found = self.find_queue(name).await;
        found.unwrap_or_else(|| panic!("no queue {name} in {}", self.name))
    }

    /// The message and consumer counts of the queue, or `None` if there is no such queue.
    pub async fn find_queue(&self, name: &str) -> Option<Depth> {
        let found = self
            .eval(&format!(
                "case rabbit_amqqueue:lookup({}) of \
                   {{ok, Queue}} -> maps:from_list(rabbit_amqqueue:info(\
                     Queue, [messages_ready, messages_unacknowledged, consumers])); \
                   _ -> null end",
                self.resource("queue", name)
            ))
            .await;
        let figure = |key: &str| {
            found[key]
                .as_u64()
                .unwrap_or_else(|| panic!("no {key} of queue {name}: {found}"))
        };
        (!found.is_null()).then(|| Depth {
            ready: figure("messages_ready"),
            unacked: figure("messages_unacknowledged"),
            consumers: figure("consumers"),
        })
    }

    /// The names of all queues, sorted.
    pub async fn queues(&self) -> Vec<String> {
        let names = self
            .eval(&format!(
                "[element(4, element(2, lists:keyfind(name, 1, rabbit_amqqueue:info(Queue, [name])))) \
                 || Queue <- rabbit_amqqueue:list({})]",
                binary(&self.name)
            ))
            .await;
        let mut names: Vec<String> = names.as_array().into_iter().flatten().map(text).collect();
        names.sort();
        names
    }

    /// The consumers of a queue; empty if there is no such queue.
    pub async fn consumers(&self, queue: &str) -> Vec<Consumer> {
        let consumers = self
            .eval(&format!(
                "case rabbit_amqqueue:lookup({}) of \
                   {{ok, Queue}} -> [begin \
                     [Channel, Tag, Acks, Prefetch | _] = tuple_to_list(Consumer), \
                     [{{_, Shared}}] = rabbit_channel:info(Channel, [global_prefetch_count]), \
                     #{{tag => Tag, acks => Acks, prefetch => Prefetch, channel_prefetch => Shared}} end \
                     || Consumer <- rabbit_amqqueue:consumers(Queue)]; \
                   _ -> [] end",
                self.resource("queue", queue)
            ))
            .await;
        let consumers = consumers.as_array().into_iter().flatten();
        consumers
            .map(|consumer| Consumer {
                tag: text(&consumer["tag"]),
                prefetch: consumer["prefetch"].as_u64().unwrap_or_default(),
                channel_prefetch: consumer["channel_prefetch"].as_u64().unwrap_or_default(),
                acks: consumer["acks"].as_bool().unwrap_or_default(),
            })
            .collect()
    }

    /// Declares a durable queue with `arguments` (an object).
    pub async fn declare_queue(&self, name: &str, arguments: &Value) {
        let path = format!("/queues/{}/{name}", self.name);
        self.place
            .manage("PUT", &path, &json!({ "durable": true, "arguments": arguments }))
            .await;
    }

    /// Deletes a queue with all its messages.
    pub async fn delete_queue(&self, name: &str) {
        self.place
            .manage("DELETE", &format!("/queues/{}/{name}", self.name), &json!({}))
            .await;
    }

    /// Deletes a queue and returns how many ready messages were deleted with it; unacknowledged messages are not
    /// counted. With `if_empty`, the queue is deleted only if it has no ready messages; otherwise this returns
    /// `None`.
    pub async fn delete_queue_counting(&self, name: &str, if_empty: bool) -> Option<u64> {
        let deleted = self
            .eval(&format!(
                "{{ok, Queue}} = rabbit_amqqueue:lookup({}), \
                 case rabbit_amqqueue:delete(Queue, false, {if_empty}, <<\"test\">>) of \
                   {{ok, Count}} -> Count; \
                   {{error, _}} -> null end",
                self.resource("queue", name)
            ))
            .await;
        deleted.as_u64()
    }

    /// Kills the process of a queue, as a fault in it would.
    pub async fn crash_queue(&self, name: &str) {
        self.eval(&format!(
            "{{ok, Queue}} = rabbit_amqqueue:lookup({}), exit(amqqueue:get_pid(Queue), kill)",
            self.resource("queue", name)
        ))
        .await;
    }

    /// Sets a policy for the queues that match `pattern`.
    pub async fn set_policy(&self, name: &str, pattern: &str, definition: &Value) {
        let policy = json!({ "pattern": pattern, "definition": definition, "apply-to": "queues" });
        self.place
            .manage("PUT", &format!("/policies/{}/{name}", self.name), &policy)
            .await;
    }

    /// Makes the broker close every connection to this virtual host (320 `CONNECTION_FORCED`), as
    /// `rabbitmqctl close_all_connections` does; returns how many there were.
    pub async fn close_all_connections(&self) -> u64 {
        let closed = self
            .eval(&format!(
                "length([rabbit_networking:close_connection(Connection, \"closed by the test\") \
                 || Connection <- rabbit_networking:connections(), \
                    rabbit_networking:connection_info(Connection, [vhost]) =:= [{{vhost, {}}}]])",
                binary(&self.name)
            ))
            .await;
        closed.as_u64().unwrap_or_default()
    }

    /// Evaluates expressions in the broker.
    pub(crate) async fn eval(&self, expressions: &str) -> Value {
        self.place
            .node
            .eval(expressions)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn resource(&self, kind: &str, name: &str) -> String {
        format!("rabbit_misc:r({}, {kind}, {})", binary(&self.name), binary(name))
    }
}

/// The text of a JSON string; empty for any other value.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
