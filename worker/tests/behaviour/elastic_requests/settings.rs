//! Environment variables and certificates: which values are valid, which are mistakes, and which servers are trusted.

use explain::explain;
use service_kit::env::Env;
use worker::audit_log::AuditSink as _;
use worker::config::{AuditLogConfig, Config};

use super::*;
use crate::peer::{Peer, Step};
use crate::tls_peer::{Certificate, TlsPeer};

/// Returns the audit log of an environment, or the mistakes in it.
fn configured(pairs: &[(&str, &str)]) -> Result<AuditLogConfig, String> {
    let env = match *pairs {
        [url, password, certificates, other] => Env::from_pairs([url, password, certificates, other]),
        [url, password, certificates] => Env::from_pairs([url, password, certificates]),
        [url, certificates] => Env::from_pairs([url, certificates]),
        _ => panic!("{pairs:?}"),
    };
    let mut reader = env.reader();
    let config = Config::read(&mut reader);
    reader.finish().map_err(|mistakes| mistakes.to_string())?;
    Ok(config.audit_log)
}

/// Starts the sink of a configuration and returns the outcome: that it has started, or the trouble.
async fn started(config: AuditLogConfig) -> String {
    let AuditLogConfig::Elasticsearch(config) = config else {
        return "no Elasticsearch".to_owned();
    };
    match ElasticsearchAuditLog::new(&config).unwrap().check().await {
        Ok(()) => "started".to_owned(),
        Err(error) => format!("outage: {}", explain(&*error.source)),
    }
}

/// Returns a CA file, for rows in which its contents do not matter.
fn ca_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new())
        .unwrap()
        .self_signed(&key)
        .unwrap();
    std::fs::write(file.path(), certificate.pem()).unwrap();
    file
}

/// Runs the rows about variables. Python insists on https; our requests to the stand-in use plain HTTP.
pub(super) async fn read(books: &mut Books, row: &Value) {
    let case = text(row, "case");
    let server = Receiver::start_with(|request| healthy(request, false)).await;
    let url = text(&row["env"], "ELASTICSEARCH_URL")
        .replace("21097", &server.port().to_string())
        .replace("https://", "http://");
    let ca = ca_file();
    let ca = ca.path().to_str().unwrap();
    let password = row["env"]["ELASTIC_PASSWORD"].as_str();
    let mut pairs = vec![
        ("ELASTICSEARCH_URL", url.as_str()),
        ("ELASTICSEARCH_CERTS_PATH", ca),
    ];
    pairs.extend(password.map(|password| ("ELASTIC_PASSWORD", password)));
    match case {
        "both-loggers" => pairs.push(("REDIS_HOST", "127.0.0.1")),
        "proxy-env" => pairs.push(("HTTP_PROXY", "http://127.0.0.1:1")),
        _ => {}
    }
    let ours = match configured(&pairs) {
        Ok(AuditLogConfig::Elasticsearch(config)) if case == "url-no-port" => {
            let url = config.url.as_str().replace("http://", "https://");
            let port = url.parse::<reqwest::Url>().unwrap().port_or_known_default();
            format!("port {port:?}")
        }
        Ok(config) => started(config).await,
        Err(mistakes) => mistakes,
    };
    let requests = [our_start(&server)].concat();
    let local =
        |request: &String| request.replace("127.0.0.1:21097", &format!("127.0.0.1:{}", server.port()));
    let recorded: Vec<String> = recorded_start(row).iter().map(local).collect();
    let all = |outcome: &str, requests: &[String]| format!("{outcome}\n{}", requests.join("\n"));
    let mistake = |variable: &str| match &ours {
        ours if ours.contains(&format!("\n  {variable}: ")) => variable.to_owned(),
        other => other.clone(),
    };
    match case {
        "url-empty" => books.same(case, "no Elasticsearch", ours),
        "no-password" => books.same(case, "ELASTIC_PASSWORD", mistake("ELASTIC_PASSWORD")),
        "url-no-scheme" | "url-two-hosts" => {
            books.same(case, "ELASTICSEARCH_URL", mistake("ELASTICSEARCH_URL"));
        }
        "http-url" | "http-url-no-certs-path" => {
            books.deviates(case, adr(38, "http works as well"), "started", ours);
        }
        "unicode-password" => {
            books.deviates(case, adr(38, "a password is sent as UTF-8"), "started", ours);
        }
        "url-no-port" => books.same(case, "port Some(443)", ours),
        // The stand-in answers under any path; the recorded one did not.
        "url-path-prefix" => books.same(case, recorded.concat(), requests[0].clone()),
        _ => books.same(case, all("started", &recorded), all(&ours, &requests)),
    }
}

/// Runs the rows about certificates. The stand-in answers like Elasticsearch as far as a start needs it.
pub(super) async fn tls(books: &mut Books, row: &Value) {
    let case = text(row, "case");
    let certificate = match case {
        "tls-wrong-host" => Certificate::WrongName,
        "tls-self-signed" => Certificate::SelfSigned,
        "tls-expired" => Certificate::Expired,
        _ => Certificate::Good,
    };
    if case == "tls-self-signed-as-ca" {
        let decision = adr(38, "certificates are OpenSSL's business, as in Python");
        return books.not_run(case, decision);
    }
    let peer = TlsPeer::start(certificate).await;
    let refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let plain = Peer::playing(vec![Step::Send(refusal.to_vec())]).await;
    let folder = tempfile::tempdir().unwrap();
    let (folder, missing) = (folder.path().to_str().unwrap(), folder.path().join("none.pem"));
    let port = if case == "tls-url-https-plain-server" {
        plain.port()
    } else {
        peer.port()
    };
    let url = format!("https://127.0.0.1:{port}");
    let ca = match case {
        "tls-no-ca" => "",
        "tls-ca-missing-file" => missing.to_str().unwrap(),
        "tls-ca-directory" => folder,
        _ => peer.ca_bundle().to_str().unwrap(),
    };
    let pairs = [
        ("ELASTICSEARCH_URL", url.as_str()),
        ("ELASTIC_PASSWORD", "shiboleth"),
        ("ELASTICSEARCH_CERTS_PATH", ca),
    ];
    let ours = match configured(&pairs) {
        Ok(config) => started(config).await,
        Err(mistakes) => mistakes,
    };
    // OpenSSL's own words, which Python shows as well.
    let words = match case {
        "tls-no-ca" => "unable to get local issuer certificate",
        "tls-self-signed" => "self-signed certificate",
        "tls-expired" => "certificate has expired",
        "tls-url-https-plain-server" => "wrong version number",
        "tls-ca-missing-file" => "No such file or directory",
        "tls-ca-directory" => "Is a directory",
        _ => "started",
    };
    let ours = if ours.contains(words) { words } else { &ours };
    if row["worker_started"] == true || case.starts_with("tls-ca-") {
        books.same(case, words, ours);
    } else {
        let decision = adr(38, "refused in the same words, but as an outage");
        books.deviates(case, decision, words, ours);
    }
}
