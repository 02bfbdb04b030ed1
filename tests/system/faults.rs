//! The table of faults in docs/RELIABILITY.md, without the faults: `make test-faults` has those.

#[path = "../faults/table.rs"]
mod table;
