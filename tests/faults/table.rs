//! The list of faults, and the table of docs/RELIABILITY.md with a row for each.

use std::fs;
use std::path::{Path, PathBuf};

/// Every fault, in the order of the table. The document has exactly these rows.
pub(crate) const FAULTS: &[&str] = &[
    "public-api: kill -9",
    "worker: kill -9",
    "acl-service: kill -9, away for 5 s",
    "RabbitMQ: stopped",
    "RabbitMQ: kill -9",
    "RabbitMQ: restarted within its node",
    "RabbitMQ: does nothing for 8 s (SIGSTOP)",
    "RabbitMQ: closes all connections, five times",
    "RabbitMQ: memory alarm for 8 s (connection.blocked)",
    "RabbitMQ: queue deleted with what is in it",
    "RabbitMQ: queue deleted when empty, consumer cancelled",
    "RabbitMQ: process of the queue dies",
    "Redis of the ACL service: down for 5 s",
    "Redis of the log: down for 8 s",
    "Redis of the log: silent for 8 s (SIGSTOP)",
    "Elasticsearch: down (its proxy answers 502)",
    "Elasticsearch: kill -9, connections refused",
    "Elasticsearch: slow (2 s) for 8 s",
    "Elasticsearch: 429 for 8 s",
    "Elasticsearch: read-only index for 8 s",
    "Elasticsearch: disk full for 8 s (index block)",
    "Redis of the log down, the spool's disk full",
    "worker: stopped while records wait, started with the spool's disk full",
    "ACL service: slow (10 s) for 8 s",
    "ACL service: garbage for 8 s",
    "ACL service: endless answer for 8 s",
    "callback receivers: hang",
    "callback receivers: drip a byte a second",
    "callback receivers: endless bodies",
    "callback receivers: endless headers",
    "callback receivers: close early",
    "callback receivers: redirect forever",
    "callback receivers: redirect to a link-local address",
    "network: public-api – RabbitMQ cut for 10 s, no FIN",
    "network: worker – RabbitMQ cut for 10 s, no FIN",
    "network: worker – ACL service cut for 8 s, no FIN",
    "network: worker – Redis of the log cut for 10 s, no FIN",
    "network: worker – Elasticsearch cut for 10 s, no FIN",
    "log of each program: reader gone",
    "log of each program: reader away for 8 s",
    "log of each program: reader stands still",
    "log of each program: terminal gone",
    "log of each program: disk full for 8 s",
    "log of each program: closed from the start",
    "log of each program: /dev/full from the start",
    "clock of the worker: an hour ahead, then an hour behind",
    "clock of the public API: an hour ahead, then an hour behind",
];

pub(crate) const COLUMNS: [&str; 9] = [
    "fault",
    "accepted",
    "503",
    "no answer",
    "called back",
    "logged",
    "lost",
    "duplicated",
    "recovery",
];
pub(crate) const LOST: usize = 6;

pub(crate) const MARKS: [&str; 2] = ["<!-- faults: begin -->\n", "<!-- faults: end -->\n"];

/// The parts of the document before, inside and after the table.
pub(crate) fn split(document: &str) -> [&str; 3] {
    let [begin, end] = MARKS;
    let (before, rest) = document.split_once(begin).expect("the begin of the table");
    let (table, after) = rest.split_once(end).expect("its end");
    [before, table, after]
}

/// The cells of each row.
pub(crate) fn rows(document: &str) -> Vec<Vec<String>> {
    let [_, table, _] = split(document);
    let cells = |line: &str| {
        let inner = line.trim_start_matches("| ").trim_end_matches(" |");
        inner.split(" | ").map(str::to_owned).collect()
    };
    table.lines().skip(2).map(cells).collect()
}

pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/RELIABILITY.md")
}

/// The document has exactly one row for each fault, and none of them lost anything.
#[test]
fn the_document_has_every_fault_and_nothing_lost() {
    let rows = rows(&fs::read_to_string(path()).unwrap());
    let faults: Vec<&str> = rows.iter().map(|cells| cells[0].as_str()).collect();
    assert_eq!(
        faults, FAULTS,
        "`make fault-table` writes the table of docs/RELIABILITY.md"
    );
    for cells in &rows {
        assert_eq!(cells.len(), COLUMNS.len(), "{cells:?}");
        assert_eq!(cells[LOST], "0", "{cells:?}");
    }
}
