//! Publishes messages to a virtual host and takes messages from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::erlang::{binary, table};
use crate::vhost::{Vhost, text};

/// A message taken from a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// The properties that are set, under their AMQP names; `headers` is an object.
    pub properties: Value,
    /// The exchange to which it was published.
    pub exchange: String,
    /// The routing key with which it was published.
    pub routing_key: String,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Delivered {
    /// The message in readable form: its destination, each property and header on its own line, and the body.
    pub fn shown(&self) -> String {
        let mut lines = vec![format!("to {:?} with key {:?}", self.exchange, self.routing_key)];
        let mut properties = self.properties.as_object().cloned().unwrap_or_default();
        let headers = properties.remove("headers").unwrap_or_default();
        let own = properties.iter().map(|(name, value)| format!("{name}: {value}"));
        lines.extend(own);
        let headers = headers.as_object().into_iter().flatten();
        lines.extend(headers.map(|(name, value)| format!("headers.{name}: {value}")));
        lines.push(String::from_utf8_lossy(&self.body).into_owned());
        lines.join("\n")
    }
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
    /// Publishes a message with these properties (an object under AMQP names; `headers` typed as a Python client
    /// types them) and waits for the broker's confirmation; panics if it does not reach a queue.
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
                 true = amqp_channel:wait_for_confirms(Channel, 60), \
                 receive {{{{'basic.return', _, _, _, _}}, _}} -> false after 0 -> true end",
                binary(exchange),
                binary(routing_key),
                fields.join(","),
                binary(BASE64.encode(body)),
            ))
            .await;
        assert_eq!(
            routed,
            true,
            "no queue for {exchange:?} {routing_key:?} in {}",
            self.name()
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

    /// Evaluates expressions with `Channel` bound to a channel of this virtual host.
    async fn on_channel(&self, expressions: &str) -> Value {
        self.eval(&format!(
            "{{ok, Parameters}} = amqp_uri:parse(\"amqp:///{}\"), \
             {{ok, Connection}} = amqp_connection:start(Parameters), \
             try {{ok, Channel}} = amqp_connection:open_channel(Connection), {expressions} \
             after amqp_connection:close(Connection) end",
            self.name()
        ))
        .await
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
