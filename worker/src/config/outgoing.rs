//! The CA certificates and proxies that callbacks and requests to the ACL service share.

use std::path::PathBuf;

use callback_client::proxy::Proxies;
use service_kit::env::{Reader, Variable};

use super::http_url::is_http;

pub(super) const REQUESTS_CA_BUNDLE: Variable = Variable {
    name: "REQUESTS_CA_BUNDLE",
    default: None,
    meaning: "file with the CA certificates to trust for callbacks and the ACL service; if unset, Mozilla's",
};
pub(super) const HTTP_PROXY: Variable = Variable {
    name: "HTTP_PROXY",
    default: None,
    meaning: "proxy for http:// URLs; also http_proxy",
};
pub(super) const HTTPS_PROXY: Variable = Variable {
    name: "HTTPS_PROXY",
    default: None,
    meaning: "proxy for https:// URLs; also https_proxy",
};
pub(super) const ALL_PROXY: Variable = Variable {
    name: "ALL_PROXY",
    default: None,
    meaning: "proxy for all URLs; also all_proxy",
};
pub(super) const NO_PROXY: Variable = Variable {
    name: "NO_PROXY",
    default: None,
    meaning: "hosts to call without a proxy; also no_proxy",
};

/// The configuration of all outgoing requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingConfig {
    /// A file with CA certificates, which replace Mozilla's.
    pub ca_bundle: Option<PathBuf>,
    /// Proxies for callbacks and the ACL service.
    pub proxies: Proxies,
}

impl OutgoingConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            ca_bundle: read_ca_bundle(reader),
            proxies: read_proxies(reader),
        }
    }
}

fn read_ca_bundle(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(reader.optional(&REQUESTS_CA_BUNDLE)?);
    if let Err(error) = std::fs::metadata(&path) {
        reader.mistake(&REQUESTS_CA_BUNDLE, format!("{}: {error}", path.display()));
    }
    Some(path)
}

/// Reads the proxies. In Python, `NO_PROXY=*` applies to names and addresses; the libraries would still use a proxy for
/// addresses.
fn read_proxies(reader: &mut Reader<'_>) -> Proxies {
    let proxies = Proxies {
        http: read_proxy(reader, &HTTP_PROXY, "http_proxy"),
        https: read_proxy(reader, &HTTPS_PROXY, "https_proxy"),
        all: read_proxy(reader, &ALL_PROXY, "all_proxy"),
        no: read_either(reader, &NO_PROXY, "no_proxy"),
    };
    if proxies.no == "*" {
        Proxies::default()
    } else {
        proxies
    }
}

fn read_proxy(reader: &mut Reader<'_>, variable: &Variable, lower_case: &'static str) -> String {
    let proxy = read_either(reader, variable, lower_case);
    let url = if proxy.contains("://") {
        proxy.clone()
    } else {
        format!("http://{proxy}")
    };
    if !proxy.is_empty() && !is_http(&url, &["http"]) {
        reader.mistake(variable, "expected a proxy such as http://proxy:3128");
    }
    proxy
}

/// Reads a variable whose lower-case name takes precedence, as in Python.
fn read_either(reader: &mut Reader<'_>, variable: &Variable, lower_case: &'static str) -> String {
    let lower_case = Variable {
        name: lower_case,
        ..*variable
    };
    reader
        .optional(&lower_case)
        .or_else(|| reader.optional(variable))
        .unwrap_or_default()
}
