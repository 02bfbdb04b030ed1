//! Records: the documents are the same as Python's, and the fates of records in trouble.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use worker::audit_log::{AuditSink as _, Fate};

use super::start_up::document;
use super::*;

/// Returns the answer to a `_bulk` request in an entry, and the resulting fate of its record. Python loses the record in
/// all cases except the first with [`Fate::Written`].
fn trouble_of(entry: &str, request: &Received) -> (Reply, &'static str) {
    let plain = |status: u16, body: &str| Reply::Answer(status, Vec::new(), body.as_bytes().to_vec());
    let bulk = || items(request, 201, None);
    let without_headers = || match bulk() {
        Reply::Answer(status, _, body) => Reply::Answer(status, Vec::new(), body),
        other => other,
    };
    match entry {
        "200 instead of 201" => (items(request, 200, None), "written"),
        "400 mapper_parsing" => (items(request, 400, Some("document_parsing_exception")), "refused"),
        "401" => (error(401, "security_exception"), "outage"),
        "403" => (items(request, 403, Some("cluster_block_exception")), "deferred"),
        "404 index missing" => (items(request, 404, Some("index_not_found_exception")), "deferred"),
        "409" => (
            items(request, 409, Some("version_conflict_engine_exception")),
            "written",
        ),
        "413" => (plain(413, ""), "refused"),
        "429" => (error(429, "es_rejected_execution_exception"), "outage"),
        "500" | "502" | "503" | "504" => (error(entry.parse().unwrap(), "some_exception"), "outage"),
        "503 html without product header" => (plain(503, "<html>"), "outage"),
        "201 without product header" | "201 without content type" => (without_headers(), "written"),
        "201 body not JSON" => (plain(201, "hello"), "outage"),
        "201 empty body" => (plain(201, ""), "outage"),
        "201 {}" => (plain(201, "{}"), "outage"),
        "closes without answer" => (Reply::Close, "outage"),
        "garbage" => (Reply::Raw(b"garbage\r\n".into()), "outage"),
        // The delays lie on either side of our ten seconds, with a margin for a busy machine.
        "answers after 9 s" => (Reply::After(Duration::from_secs(6), Box::new(bulk())), "written"),
        "answers after 12 s" => (Reply::After(Duration::from_mins(1), Box::new(bulk())), "outage"),
        "normal again" | "warning header" => (bulk(), "written"),
        "redirect 307" => (Reply::redirect(307, "/elsewhere"), "outage"),
        other => panic!("an unknown entry: {other}"),
    }
}

fn shown_fate<E>(result: &Result<Vec<Fate>, E>) -> &'static str {
    match result.as_deref() {
        Ok([Fate::Written]) => "written",
        Ok([Fate::Deferred(_)]) => "deferred",
        Ok([Fate::Refused(_)]) => "refused",
        Ok(_) => "no fate",
        Err(_) => "outage",
    }
}

/// Runs every entry with its own server, all concurrently, because two of them take ten seconds.
pub(super) async fn trouble(books: &mut Books, row: &Value) {
    let (mut expected, mut ours) = (String::new(), String::new());
    let entries = row["entries"].as_array().unwrap();
    let mut running = tokio::task::JoinSet::new();
    for (n, entry) in entries.iter().enumerate() {
        let name = text(entry, "entry").to_owned();
        let sent = document(text(&entry["es_requests"][0], "body"));
        running.spawn(async move {
            let (asked, fate) = (name.clone(), Arc::new(Mutex::new("not asked")));
            let expected = Arc::clone(&fate);
            let server = Receiver::start_with(move |request| match request.path() {
                "/log.authorize/_bulk" => {
                    let (reply, fate) = trouble_of(&asked, request);
                    *expected.lock().unwrap() = fate;
                    reply
                }
                "/elsewhere" => error(404, "no_such_page"),
                _ => healthy(request, true),
            })
            .await;
            let result = sink(&server.url("")).write(&[record("task", &sent)]).await;
            let expected = *fate.lock().unwrap();
            (n, name, expected, shown_fate(&result))
        });
    }
    let mut outcomes = running.join_all().await;
    outcomes.sort_unstable();
    for (_, name, wanted, got) in outcomes {
        writeln!(expected, "{name}: {wanted}").unwrap();
        writeln!(ours, "{name}: {got}").unwrap();
    }
    let decision = adr(
        38,
        "what Python loses is written later, or permanently refused with a reason",
    );
    books.deviates(text(row, "case"), decision, expected, ours);
}

/// Runs the row about a server that closes the connection and then no longer listens.
pub(super) async fn server_gone(books: &mut Books, row: &Value) {
    let server = Receiver::start_with(|request| healthy(request, true)).await;
    let sink = sink(&server.url(""));
    sink.check().await.unwrap();
    drop(server);
    let result = sink
        .write(&[record("task", &json!({"start_time_ms": 1, "status": "allowed"}))])
        .await;
    let decision = adr(38, "what Python loses is written later");
    books.deviates(text(row, "case"), decision, "outage", shown_fate(&result));
}

/// Runs the row in which Python's class is called directly. A task never leaves out a field, so only calls with all
/// fields are compared.
pub(super) async fn documents(books: &mut Books, row: &Value) {
    let server = Receiver::start_with(|request| healthy(request, true)).await;
    let sink = sink(&server.url(""));
    let mut expected = Vec::new();
    for (n, entry) in row["entries"].as_array().unwrap().iter().enumerate() {
        let body = text(entry, "body");
        let is_whole = ["callback_status", "callback_url"]
            .iter()
            .all(|field| body.contains(field));
        if !is_whole || entry["entry"] == "status empty" {
            continue;
        }
        let mut record = record(&format!("task-{n}"), &document(body));
        record.start_time_ns = entry["start_time_ns"].as_i64().unwrap().into();
        sink.write(&[record]).await.unwrap();
        expected.push(body.to_owned());
    }
    assert!(expected.len() >= 3, "{expected:?}");
    books.same(
        text(row, "case"),
        expected.join("\n"),
        our_documents(&server).join("\n"),
    );
}

/// Writes as many records at once as Python's processes did; none may be lost or doubled.
pub(super) async fn many(books: &mut Books, row: &Value) {
    let server = Receiver::start_with(|request| healthy(request, true)).await;
    let sink = Arc::new(sink(&server.url("")));
    let mut writing = tokio::task::JoinSet::new();
    for n in 1..=row["tasks"].as_i64().unwrap() {
        let sink = Arc::clone(&sink);
        let sent = record(&n.to_string(), &json!({"start_time_ms": n, "status": "allowed"}));
        writing.spawn(async move { sink.write(&[sent]).await.unwrap() });
    }
    writing.join_all().await;
    let documents = our_documents(&server);
    let distinct = documents.iter().collect::<BTreeSet<_>>().len();
    books.same(
        text(row, "trial"),
        format!(
            "{} documents, {} distinct",
            row["documents_received"], row["distinct"]
        ),
        format!("{} documents, {distinct} distinct", documents.len()),
    );
}
