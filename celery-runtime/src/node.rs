//! Who this node is to its broker and to its neighbours.

pub(crate) mod nodename;
pub(crate) mod origin;
