//! The identity of this node for its broker and other nodes.

pub(crate) mod nodename;
pub(crate) mod origin;
