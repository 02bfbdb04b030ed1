//! Broker URLs as Celery reads them (`BROKER_URL`, contract F and E.5).

use std::fmt;
use std::str::FromStr;

use lapin::uri::AMQPUri;

use super::endpoint::{BrokerUrlError, Endpoint};

/// One or more brokers, tried in turn: `amqp://user:password@host:port/vhost`, alternatives separated by `;`.
///
/// As in kombu, an empty virtual host (and the usual `//`) is `/`, user and password default to `guest`, and the
/// port to 5672 (5671 with TLS). `Display` and `Debug` mask the password as Celery's log lines do.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    endpoints: Vec<Endpoint>,
}

impl BrokerUrl {
    /// Returns each broker as a URL of its own.
    pub fn alternatives(&self) -> impl Iterator<Item = Self> {
        let alone = |endpoint: &Endpoint| Self {
            endpoints: vec![endpoint.clone()],
        };
        self.endpoints.iter().map(alone)
    }

    /// Returns the URI to dial at the `attempt`th try: the alternatives in turn.
    pub(crate) fn amqp_uri(&self, attempt: usize) -> AMQPUri {
        self.endpoint(attempt).amqp_uri()
    }

    /// Returns the `attempt`th alternative as Celery prints it, without the password.
    pub(crate) fn shown(&self, attempt: usize) -> String {
        self.endpoint(attempt).to_string()
    }

    fn endpoint(&self, attempt: usize) -> &Endpoint {
        &self.endpoints[attempt % self.endpoints.len()]
    }
}

impl Default for BrokerUrl {
    /// Celery's own default, `amqp://guest:guest@localhost:5672//`.
    fn default() -> Self {
        Self {
            endpoints: vec![Endpoint::default()],
        }
    }
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let endpoints = text
            .split(';')
            .map(str::parse)
            .collect::<Result<Vec<Endpoint>, _>>()?;
        Ok(Self { endpoints })
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            if index > 0 {
                f.write_str(";")?;
            }
            endpoint.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unescaped_password_is_not_shown_either() {
        let url: BrokerUrl = "amqp://me:12/s3cr3t@rabbit".parse().unwrap();
        assert!(!url.to_string().contains("s3cr3t"), "{url}");
    }

    fn parsed(text: &str) -> Endpoint {
        text.parse::<BrokerUrl>().unwrap().endpoints.remove(0)
    }

    #[test]
    fn reads_what_celery_reads() {
        let shown = |text: &str| text.parse::<BrokerUrl>().unwrap().to_string();
        assert_eq!(
            "amqp://guest:guest@localhost:5672//".parse(),
            Ok(BrokerUrl::default())
        );
        assert_eq!(
            BrokerUrl::default().to_string(),
            "amqp://guest:**@localhost:5672//"
        );
        assert_eq!(shown("amqp://"), "amqp://guest:**@localhost:5672//");
        assert_eq!(shown("pyamqp://rabbit"), "amqp://guest:**@rabbit:5672//");
        assert_eq!(shown("amqp://rabbit/"), "amqp://guest:**@rabbit:5672//");
        assert_eq!(shown("amqps://u:p@rabbit/v"), "amqps://u:**@rabbit:5671/v");
        assert_eq!(shown("amqp://u:p@[::1]:7/v"), "amqp://u:**@[::1]:7/v");
        assert_eq!(parsed("amqp://h/%2Ffoo").vhost, "/foo");
        assert_eq!(parsed("amqp://us%40er:p%3Ass@h").password, "p:ss");
        assert_eq!(parsed("amqp://u:p@ss@h").password, "p@ss");
        assert_eq!(parsed("amqp://h?heartbeat=7").heartbeat, 7);
    }

    #[test]
    fn alternatives_are_tried_in_turn() {
        let url: BrokerUrl = "amqp://a;amqp://b".parse().unwrap();
        assert_eq!(url.amqp_uri(0).authority.host, "a");
        assert_eq!(url.amqp_uri(1).authority.host, "b");
        assert_eq!(url.amqp_uri(2).authority.host, "a");
        let alone: Vec<String> = url.alternatives().map(|broker| broker.to_string()).collect();
        assert_eq!(alone, ["amqp://guest:**@a:5672//", "amqp://guest:**@b:5672//"]);
    }

    #[test]
    fn errors_name_the_part_and_never_the_password() {
        let refused = |text: &str| text.parse::<BrokerUrl>().unwrap_err();
        assert_eq!(refused("localhost"), BrokerUrlError::NoScheme);
        assert_eq!(
            refused("redis://h"),
            BrokerUrlError::Transport("redis".to_owned())
        );
        assert_eq!(refused("amqp://u:secret@h:99999/"), BrokerUrlError::Port);
        assert_eq!(refused("amqp://u:%FF@h"), BrokerUrlError::Escape("password"));
        assert_eq!(refused("amqp://h?heartbeat=x"), BrokerUrlError::Heartbeat);
        assert!(!refused("amqp://u:secret@h:99999/").to_string().contains("secret"));
        let url: BrokerUrl = "amqp://u:secret@h".parse().unwrap();
        assert!(!format!("{url:?} {url}").contains("secret"));
    }
}
