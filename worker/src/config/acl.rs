//! The address of the ACL service.

use service_kit::env::{Reader, Variable};

use super::http_url::is_http;

pub(super) const AUTHORIZATION_SERVICE_URL: Variable = Variable {
    name: "AUTHORIZATION_SERVICE_URL",
    default: Some("http://localhost:5000"),
    meaning: "base URL of the ACL service",
};

/// The configuration of the ACL service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclConfig {
    /// The base URL, used as it is.
    pub url: String,
}

impl AclConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let url = reader.text(&AUTHORIZATION_SERVICE_URL);
        if !is_http(&url, &["http", "https"]) {
            reader.mistake(
                &AUTHORIZATION_SERVICE_URL,
                "expected a URL such as http://localhost:5000",
            );
        }
        Self { url }
    }
}
