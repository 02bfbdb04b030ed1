//! A virtual host of a [`Broker`](crate::broker::Broker): queues, messages and connections of one test.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::broker::Place;
use crate::erlang::{binary, table};

/// A virtual host. Its figures are the queue's own at the time of the call, not the management plugin's statistics.
#[derive(Debug, Clone)]
pub struct Vhost {
    name: String,
    place: Arc<Place>,
}

/// What a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that wait.
    pub ready: u64,
    /// Messages delivered and not yet settled.
    pub unacked: u64,
    /// Consumers of the queue.
    pub consumers: u64,
}

/// A consumer of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its tag.
    pub tag: String,
    /// Its own prefetch (`basic.qos` with `global=false`), 0 for none.
    pub prefetch: u64,
    /// The prefetch of its whole channel (`global=true`), 0 for none.
    pub channel_prefetch: u64,
    /// Whether deliveries must be acknowledged.
    pub acks: bool,
}

/// A message taken from a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// The properties that are set, under their AMQP names; `headers` is an object.
    pub properties: Value,
    /// The exchange it was published to.
    pub exchange: String,
    /// With this key.
    pub routing_key: String,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// Its body.
    pub body: Vec<u8>,
}

/// The fields of the broker's `P_basic` record, in order.
const PROPERTIES: [&str; 14] = [
    "content_type",
    "content_encoding",
    "headers",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
];

impl Vhost {
    pub(crate) async fn create(place: Arc<Place>, name: &str) -> Self {
        place.manage("PUT", &format!("/vhosts/{name}"), &json!({})).await;
        Self {
            name: name.to_owned(),
            place,
        }
    }

    /// Its name, also as it stands in URLs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What goes into `BROKER_URL`.
    pub fn amqp_url(&self) -> String {
        self.amqp_url_at(self.place.amqp_port)
    }

    /// The same by way of another port, such as that of a [`Proxy`](crate::Proxy).
    pub fn amqp_url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/{}", self.name)
    }

    /// The broker's AMQP address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.place.amqp_port)
    }

    /// What the queue holds; panics when there is no such queue.
    pub async fn queue(&self, name: &str) -> Depth {
        let found = self.find_queue(name).await;
        found.unwrap_or_else(|| panic!("no queue {name} in {}", self.name))
    }

    /// What the queue holds, `None` when there is no such queue.
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

    /// The consumers of a queue; empty when there is no such queue.
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

    /// Deletes a queue with all it holds.
    pub async fn delete_queue(&self, name: &str) {
        self.place
            .manage("DELETE", &format!("/queues/{}/{name}", self.name), &json!({}))
            .await;
    }

    /// Sets a policy for the queues that match `pattern`.
    pub async fn set_policy(&self, name: &str, pattern: &str, definition: &Value) {
        let policy = json!({ "pattern": pattern, "definition": definition, "apply-to": "queues" });
        self.place
            .manage("PUT", &format!("/policies/{}/{name}", self.name), &policy)
            .await;
    }

    /// Publishes a message with these properties (an object under AMQP names; `headers` typed as a Python client
    /// types them) and waits for the broker's confirmation; panics when it reaches no queue.
    pub async fn publish(&self, exchange: &str, routing_key: &str, properties: &Value, body: &[u8]) {
        let fields: Vec<String> = PROPERTIES
            .iter()
            .map(|name| property(name, &properties[name]))
            .collect();
        let routed = self
            .on_channel(&format!(
                "{{'confirm.select_ok'}} = amqp_channel:call(Channel, {{'confirm.select', false}}), \
                 amqp_channel:register_return_handler(Channel, self()), \
                 amqp_channel:cast(Channel, {{'basic.publish', 0, {}, {}, true, false}}, \
                   {{amqp_msg, {{'P_basic', {}}}, base64:decode({})}}), \
                 true = amqp_channel:wait_for_confirms(Channel, 10), \
                 receive {{{{'basic.return', _, _, _, _}}, _}} -> false after 0 -> true end",
                binary(exchange),
                binary(routing_key),
                fields.join(","),
                binary(BASE64.encode(body)),
            ))
            .await;
        assert_eq!(
            routed, true,
            "no queue for {exchange:?} {routing_key:?} in {}",
            self.name
        );
    }

    /// Takes up to `count` messages from a queue.
    pub async fn get(&self, queue: &str, count: usize) -> Vec<Delivered> {
        let names: Vec<String> = PROPERTIES.iter().map(|name| (*name).to_owned()).collect();
        let messages = self
            .on_channel(&format!(
                "Plain = fun Plain(void, _) -> null; \
                   Plain(array, Items) -> [Plain(Type, Item) || {{Type, Item}} <- Items]; \
                   Plain(table, Fields) -> maps:from_list([{{Name, Plain(Type, Field)}} || {{Name, Type, Field}} <- Fields]); \
                   Plain(_, Other) -> Other end, \
                 Get = fun Get(0) -> []; \
                   Get(Count) -> case amqp_channel:call(Channel, {{'basic.get', 0, {}, true}}) of \
                     {{'basic.get_empty', _}} -> []; \
                     {{{{'basic.get_ok', _, Redelivered, Exchange, Key, _}}, {{amqp_msg, Basic, Body}}}} -> \
                       [_ | Values] = tuple_to_list(Basic), \
                       Properties = maps:from_list([{{Name, case Name of headers -> Plain(table, Value); _ -> Value end}} \
                         || {{Name, Value}} <- lists:zip([{}], Values), Value =/= undefined]), \
                       [#{{properties => Properties, redelivered => Redelivered, exchange => Exchange, \
                           routing_key => Key, body => base64:encode(Body)}} | Get(Count - 1)] end end, \
                 Get({count})",
                binary(queue),
                names.join(","),
            ))
            .await;
        let messages = messages.as_array().into_iter().flatten();
        messages
            .map(|message| Delivered {
                properties: message["properties"].clone(),
                exchange: text(&message["exchange"]),
                routing_key: text(&message["routing_key"]),
                redelivered: message["redelivered"] == true,
                body: BASE64.decode(text(&message["body"])).unwrap_or_default(),
            })
            .collect()
    }

    /// Has the broker close every connection to this virtual host (320 `CONNECTION_FORCED`), as
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

    /// Evaluates expressions with `Channel` bound to a channel of this virtual host.
    async fn on_channel(&self, expressions: &str) -> Value {
        self.eval(&format!(
            "{{ok, Parameters}} = amqp_uri:parse(\"amqp:///{}\"), \
             {{ok, Connection}} = amqp_connection:start(Parameters), \
             try {{ok, Channel}} = amqp_connection:open_channel(Connection), {expressions} \
             after amqp_connection:close(Connection) end",
            self.name
        ))
        .await
    }

    async fn eval(&self, expressions: &str) -> Value {
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

fn property(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "undefined".to_owned(),
        Value::String(text) => binary(text),
        Value::Number(number) => number.to_string(),
        Value::Object(_) if name == "headers" => table(value),
        other => panic!("no AMQP property: {name} = {other}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
