//! A record as Elasticsearch stores it: its id, its fields and its index.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::{Value, json};

use crate::audit_log::record::AuditRecord;

/// Maximum length of a document's id, in bytes of UTF-8.
const ID_LIMIT: usize = 512;

#[derive(Serialize)]
struct Action<'r> {
    create: Create<'r>,
}

#[derive(Serialize)]
struct Create<'r> {
    #[serde(rename = "_id")]
    id: &'r str,
}

/// The fields in Python's order.
#[derive(Serialize)]
struct Document<'r> {
    station_id: &'r str,
    driver_token: &'r str,
    status: &'r str,
    callback_status: &'r str,
    callback_url: &'r str,
    start_time_ms: i64,
}

/// Returns the body of the request that creates the index: Python's mapping, without settings.
pub(super) fn index() -> Value {
    let text = json!({"type": "text"});
    json!({"mappings": {"properties": {
        "start_time_ms": {"type": "long"},
        "station_id": text,
        "driver_token": text,
        "status": text,
        "callback_status": text,
        "callback_url": text,
    }}})
}

/// Returns the two lines that create a record's document in a `_bulk` request, with their line ends.
pub(super) fn lines(record: &AuditRecord) -> Vec<u8> {
    let action = Action {
        create: Create { id: &id(record) },
    };
    let document = Document {
        station_id: &record.station_id,
        driver_token: &record.driver_token,
        status: record.status.as_str(),
        callback_status: &record.callback_status,
        callback_url: &record.callback_url,
        start_time_ms: start_time_ms(record),
    };
    let mut lines = Vec::new();
    // Texts and numbers can always be serialised, and writing to a Vec cannot fail.
    let _ = serde_json::to_writer(&mut lines, &action);
    lines.push(b'\n');
    let _ = serde_json::to_writer(&mut lines, &document);
    lines.push(b'\n');
    lines
}

/// Splits consecutive records into requests of at most `limit` bytes; a larger record gets its own request.
pub(super) fn batches(lines: &[Vec<u8>], limit: usize) -> Vec<&[Vec<u8>]> {
    let mut batches = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (at, line) in lines.iter().enumerate() {
        if at > start && size + line.len() > limit {
            batches.push(&lines[start..at]);
            (start, size) = (at, 0);
        }
        size += line.len();
    }
    if start < lines.len() {
        batches.push(&lines[start..]);
    }
    batches
}

/// Returns the id of the record's document: the task's id, or its hash if it is too long. If the task's id is empty, it
/// cannot distinguish records, so the id is a hash of the record's contents.
fn id(record: &AuditRecord) -> String {
    match record.task_id.len() {
        0 => {
            let fields = [
                &record.station_id,
                &record.driver_token,
                &record.callback_status,
                &record.callback_url,
            ];
            let parts = fields.iter().flat_map(|field| {
                [
                    (field.len() as u64).to_be_bytes().to_vec(),
                    field.as_bytes().to_vec(),
                ]
            });
            let start = record.start_time_ns.to_be_bytes().to_vec();
            hash(std::iter::once(start).chain(parts))
        }
        1..=ID_LIMIT => record.task_id.clone(),
        _ => hash([record.task_id.as_bytes()]),
    }
}

fn hash(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut sha256 = Context::new(&SHA256);
    for part in parts {
        sha256.update(part.as_ref());
    }
    let mut name = String::from("sha256-");
    for byte in sha256.finish().as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Returns the start time in milliseconds, rounded down.
fn start_time_ms(record: &AuditRecord) -> i64 {
    let milliseconds = record.start_time_ns.div_euclid(1_000_000);
    i64::try_from(milliseconds).unwrap_or(if milliseconds < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn record(task_id: &str) -> AuditRecord {
        AuditRecord {
            task_id: task_id.to_owned(),
            start_time_ns: 1_795_347_165_835_999_999,
            station_id: "5d64cd2a-6a2c-4b0a-9bb3-8c5a3f1f3e0b".to_owned(),
            driver_token: "token\"\n\u{1F600}".to_owned(),
            status: Verdict::Allowed,
            callback_status: "<Response [200]>".to_owned(),
            callback_url: String::new(),
        }
    }

    fn id_of(task_id: &str) -> String {
        id(&record(task_id))
    }

    #[test]
    fn a_record_is_two_lines_in_pythons_order() {
        let lines = String::from_utf8(lines(&record("a\"\nb"))).unwrap();
        assert_eq!(
            lines,
            "{\"create\":{\"_id\":\"a\\\"\\nb\"}}\n\
             {\"station_id\":\"5d64cd2a-6a2c-4b0a-9bb3-8c5a3f1f3e0b\",\"driver_token\":\"token\\\"\\n\u{1F600}\",\
             \"status\":\"allowed\",\"callback_status\":\"<Response [200]>\",\"callback_url\":\"\",\
             \"start_time_ms\":1795347165835}\n"
        );
    }

    #[test]
    fn times_are_rounded_down() {
        for (ns, ms) in [
            (-1, -1),
            (0, 0),
            (999_999, 0),
            (1_000_000, 1),
            (i128::MAX, i64::MAX),
        ] {
            let record = AuditRecord {
                start_time_ns: ns,
                ..record("")
            };
            assert_eq!(start_time_ms(&record), ms, "{ns}");
        }
    }

    #[test]
    fn a_task_id_names_the_document_where_it_can() {
        let longest = "é".repeat(256);
        for good in ["5d64cd2a", "a b/ä", ".", "_x", &longest] {
            assert_eq!(id_of(good), good);
        }
        let (one, other) = (format!("{longest}1"), format!("{longest}2"));
        assert!(id_of(&one).len() <= ID_LIMIT && id_of(&one) != id_of(&other));
        assert_eq!(id_of(&one), id_of(&one));
    }

    #[test]
    fn records_without_task_id_are_told_apart_by_their_contents() {
        let first = record("");
        assert_eq!(id(&first), id(&first.clone()));
        let later = AuditRecord {
            start_time_ns: first.start_time_ns + 1,
            ..first.clone()
        };
        let elsewhere = AuditRecord {
            callback_url: "x".to_owned(),
            ..first.clone()
        };
        let shifted = AuditRecord {
            callback_status: String::new(),
            callback_url: first.callback_status.clone(),
            ..first.clone()
        };
        let ids = [&first, &later, &elsewhere, &shifted].map(id);
        assert_eq!(std::collections::BTreeSet::from(ids).len(), 4);
    }

    #[test]
    fn requests_are_cut_at_the_limit() {
        let lines: Vec<Vec<u8>> = [3, 3, 4, 20, 1].map(|length| vec![b'x'; length]).into();
        let sizes = |limit| {
            batches(&lines, limit)
                .iter()
                .map(|batch| batch.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(6), [2, 1, 1, 1]);
        assert_eq!(sizes(10), [3, 1, 1]);
        assert_eq!(sizes(31), [5]);
        assert!(batches(&[], 10).is_empty());
    }
}
