//! Starts, with and without trouble: the requests are the same as Python's, and no trouble ends the worker.

use std::time::Duration;

use explain::explain;
use serde_json::json;
use worker::audit_log::AuditSink as _;

use super::*;

/// Returns the answer of Elasticsearch in a case; the case names the step that has trouble.
fn rule(case: &str, request: &Received) -> Reply {
    let has_index = case == "existing-index" || case.starts_with("start-existing-");
    let (step, trouble) = case
        .strip_prefix("start-")
        .and_then(|case| case.split_once('-'))
        .unwrap_or_default();
    let is_step = match step {
        "info" => request.path() == "/",
        "head" => request.method == "HEAD",
        "create" => request.method == "PUT",
        // Python sends further requests if the index exists; we do not.
        _ => false,
    };
    let usual = healthy(request, has_index);
    if !is_step {
        return usual;
    }
    let headers = |product: &str, content_type: &str| {
        let headers = [("X-Elastic-Product", product), ("Content-Type", content_type)];
        let given = headers.into_iter().filter(|(_, value)| !value.is_empty());
        given
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<Vec<_>>()
    };
    let json = "application/json";
    match trouble {
        "no-product" if step == "head" => Reply::Answer(404, headers("", json), Vec::new()),
        "no-product-header" => Reply::Answer(200, headers("", json), b"{}".into()),
        "wrong-product" => Reply::Answer(200, headers("OpenSearch", json), b"{}".into()),
        "product-lowercase-value" => Reply::Answer(200, headers("elasticsearch", json), b"{}".into()),
        "503-no-product" => Reply::Answer(503, headers("", json), b"{}".into()),
        "plain-json-content-type" => Reply::Answer(200, headers("Elasticsearch", json), b"{}".into()),
        "version-7" | "version-9" => answer(200, &json!({"version": {"number": trouble}})),
        "not-json" => Reply::Answer(200, headers("Elasticsearch", json), b"hello".into()),
        "html" => Reply::Answer(200, headers("Elasticsearch", "text/html"), b"<html>".into()),
        "empty" => Reply::Answer(200, headers("Elasticsearch", ""), Vec::new()),
        "slow-12s" => Reply::After(Duration::from_mins(1), Box::new(usual)),
        "close" => Reply::Close,
        "redirect" => Reply::redirect(302, "/elsewhere/"),
        "400-already-exists" => error(400, "resource_already_exists_exception"),
        status => error(status.parse().unwrap(), "some_exception"),
    }
}

pub(super) async fn start(books: &mut Books, row: &Value) {
    let case = text(row, "case").to_owned();
    if matches!(case.as_str(), "start-refused" | "start-dns") {
        return nobody_there(books, &case).await;
    }
    let asked = case.clone();
    let server = Receiver::start_with(move |request| rule(&asked, request)).await;
    let sink = sink(&server.url(""));
    let outcome = match sink.check().await {
        Ok(()) => "started".to_owned(),
        Err(error) => format!("outage: {}", explain(&*error.source)),
    };
    let local =
        |request: &String| request.replace("127.0.0.1:21092", &format!("127.0.0.1:{}", server.port()));
    let recorded: Vec<String> = recorded_start(row).iter().map(local).collect();
    let python = if row["worker_started"] == true {
        "started"
    } else {
        "exit"
    };
    let started = outcome == "started";

    if started {
        let documents = recorded_documents(row);
        let records: Vec<AuditRecord> = (0..)
            .zip(&documents)
            .map(|(n, (_, body))| record(&format!("task-{n}"), &document(body)))
            .collect();
        sink.write(&records).await.unwrap();
    }
    let ours = [our_start(&server), our_documents(&server)].concat();
    let documents = recorded_documents(row);
    let mut expected = recorded;
    // An existing index is left as it is.
    expected.retain(|request| !request.contains("/_settings") && !request.contains("/_mapping"));
    expected.extend(documents.iter().map(|(_, body)| as_text(body)));

    let shown = |outcome: &str, requests: &[String]| format!("{outcome}\n{}", requests.join("\n"));
    let ours = shown(if started { "started" } else { "exit" }, &ours);
    match case.as_str() {
        "fresh-index" => {
            let decision = adr(
                18,
                "a token that is not a text is recorded as text, a lone surrogate as U+FFFD",
            );
            books.deviates(&case, decision, shown("started", &expected), ours);
        }
        "existing-index" => {
            let decision = adr(38, "an existing index is left as it is");
            books.deviates(&case, decision, shown("started", &expected), ours);
        }
        "start-info-redirect" => {
            let decision = adr(
                38,
                "the client follows redirects; the start is retried after trouble",
            );
            let followed = expected
                .iter()
                .cloned()
                .chain([expected[0].replace("GET /", "GET /elsewhere/")]);
            books.deviates(
                &case,
                decision,
                shown("started", &followed.collect::<Vec<_>>()),
                ours_after(&ours),
            );
        }
        "start-info-not-json" => {
            let decision = adr(38, "the body of the answer to GET / is not read");
            books.deviates(&case, decision, "started", ours.lines().next().unwrap());
        }
        "start-create-400-already-exists" => {
            let decision = adr(38, "another worker may create the index at the same time");
            books.deviates(&case, decision, shown("started", &expected), ours);
        }
        _ if case.starts_with("start-existing-") => {
            let decision = adr(38, "an existing index is left as it is, and may be an alias");
            books.deviates(&case, decision, shown("started", &expected), ours);
        }
        _ if python == "started" => books.same(&case, shown(python, &expected), ours),
        _ => {
            let decision = adr(38, "trouble at the start is an outage, and the start is retried");
            books.deviates(&case, decision, shown(python, &expected), ours);
        }
    }
}

/// Returns the requests up to the redirect's target.
fn ours_after(ours: &str) -> String {
    ours.lines().take(3).collect::<Vec<_>>().join("\n")
}

async fn nobody_there(books: &mut Books, case: &str) {
    let (url, words) = match case {
        "start-dns" => ("http://elastic.invalid:9200".to_owned(), "dns error"),
        _ => (
            format!("http://127.0.0.1:{}", harness::free_port()),
            "Connection refused",
        ),
    };
    let error = sink(&url).check().await.unwrap_err();
    let said = explain(&*error.source);
    let decision = adr(38, "trouble at the start is an outage, and the start is retried");
    let ours = if said.contains(words) { words } else { &said };
    books.deviates(case, decision, words, ours);
}

/// Returns a recorded document; bytes that are not UTF-8 (a lone surrogate) become U+FFFD.
pub(super) fn document(body: &str) -> Value {
    serde_json::from_str(&body.replace("\\xed\\xa0\\x80", "\u{FFFD}")).unwrap()
}

/// Returns a recorded document in its own order of fields, with the token as text.
pub(super) fn as_text(body: &str) -> String {
    let body = body.replace("\\xed\\xa0\\x80", "\u{FFFD}");
    let parsed = document(&body);
    let token = &parsed["driver_token"];
    let shown = record("", &parsed).driver_token;
    body.replace(
        &format!("\"driver_token\":{token}"),
        &format!("\"driver_token\":{}", json!(shown)),
    )
}
