//! RabbitMQ: connections, declarations, and confirmed publishing. The only part that uses lapin.

pub mod broker_look;
pub(crate) mod broker_url;
pub(crate) mod connection;
pub(crate) mod declaration;
pub(crate) mod delayed_delivery;
pub(crate) mod destination;
pub(crate) mod endpoint;
pub(crate) mod fields;
pub(crate) mod outbox;
pub(crate) mod publisher;
pub(crate) mod queue;
pub(crate) mod session;
