//! The URL and the credentials of Elasticsearch.

use std::fmt;

use elasticsearch::cert::Certificate;
use elasticsearch::http::Url;
use service_kit::env::{Reader, Variable};

/// A password. It implements neither `Debug` nor `Display`, so it cannot be shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Returns the password, in order to send it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self(password)
    }
}

/// One Elasticsearch and the credentials of the user `elastic`.
#[derive(Clone, PartialEq, Eq)]
pub struct ElasticsearchConfig {
    /// The URL, with the scheme `http` or `https` and without credentials.
    pub url: Url,
    /// The password of the user `elastic`.
    pub password: Password,
    /// The CA certificates (PEM) that may have issued the server's certificate.
    pub ca: Option<Vec<u8>>,
}

impl fmt::Debug for ElasticsearchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticsearchConfig")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl ElasticsearchConfig {
    /// Reads the three variables; returns `None` if there is no URL or if it is a mistake.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        url: &Variable,
        password: &Variable,
        certificates: &Variable,
    ) -> Option<Self> {
        let url_text = reader.optional(url)?;
        let parsed = parse_url(&url_text);
        if parsed.is_none() {
            reader.mistake(url, "expected one URL such as https://elastic:9200");
        }
        if !reader.is_set(password) {
            reader.mistake(password, format!("must be set if {} is set", url.name));
        }
        let password = reader.optional(password).unwrap_or_default();
        Some(Self {
            ca: read_ca(reader, certificates),
            url: parsed?,
            password: password.into(),
        })
    }
}

/// Returns the URL without its credentials, which Python ignores.
fn parse_url(text: &str) -> Option<Url> {
    let mut url: Url = text.parse().ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.has_host();
    if !is_plain || !matches!(url.scheme(), "http" | "https") || text.contains(',') {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url)
}

fn read_ca(reader: &mut Reader<'_>, variable: &Variable) -> Option<Vec<u8>> {
    let path = reader.optional(variable)?;
    match std::fs::read(&path) {
        Ok(pem) if Certificate::from_pem(&pem).is_ok() => return Some(pem),
        Ok(_) => reader.mistake(variable, format!("{path} contains no PEM certificate")),
        Err(error) => reader.mistake(variable, format!("{path}: {error}")),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_in_python() {
        for (text, url) in [
            ("https://elastic:9200", "https://elastic:9200/"),
            ("https://elastic:9200/es", "https://elastic:9200/es"),
            ("https://u:p@elastic", "https://elastic/"),
            ("http://127.0.0.1:9200/", "http://127.0.0.1:9200/"),
        ] {
            assert_eq!(parse_url(text).unwrap().as_str(), url);
        }
        for text in [
            "127.0.0.1:9200",
            "elastic",
            "ftp://elastic:9200",
            "https://",
            "https://a:9200,https://b:9200",
            "https://elastic:9200/?pretty",
            "https://elastic:9200/#x",
        ] {
            assert_eq!(parse_url(text), None, "{text}");
        }
    }

    #[test]
    fn a_configuration_does_not_show_its_password() {
        let config = ElasticsearchConfig {
            url: "https://elastic:9200".parse().unwrap(),
            password: "shiboleth".to_owned().into(),
            ca: None,
        };
        assert_eq!(
            format!("{config:?}"),
            "ElasticsearchConfig { url: \"https://elastic:9200/\", .. }"
        );
    }
}
