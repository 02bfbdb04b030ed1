//! `--check`: the needs of this service.

use celery_runtime::broker_look;
use service_kit::check::Check;

use crate::config::Config;

/// Lists everything to check. Requests are put on `queue`.
pub(crate) fn check(config: &Config, name: &'static str, queue: &'static str) -> Check {
    let mut check = Check::new();
    check.listening("public API", &config.listen, "FLASK_RUN_HOST and FLASK_RUN_PORT");
    check.health(config.admin.as_ref());
    for broker in config.broker.alternatives() {
        check.look(format!("RabbitMQ {broker}"), async move {
            match broker_look::look(&broker, name, &[queue]).await {
                Ok(found) => Ok(found.to_string()),
                Err(why) => Err(format!(
                    "{}; check that RabbitMQ is running there and that BROKER_URL is correct",
                    why.reason()
                )),
            }
        });
    }
    check
}
