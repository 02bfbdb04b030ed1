//! The table of faults in docs/RELIABILITY.md. The faults themselves are tested by `make test-faults`.

#[path = "../faults/table.rs"]
mod table;
