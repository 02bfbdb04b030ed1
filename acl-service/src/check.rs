//! `--check`: the needs of this service.

use service_kit::check::Check;

use crate::config::Config;
use crate::redis_allow_list::RedisAllowList;

/// Lists everything to check.
pub(crate) fn check(config: &Config) -> Check {
    let mut check = Check::new();
    let variables = "FLASK_RUN_HOST and FLASK_RUN_PORT, or AUTHORIZATION_SERVICE_PORT";
    check.listening("ACL service", &config.listen, variables);
    check.health(config.admin.as_ref());
    let (host, port) = (config.redis_host.clone(), config.redis_port);
    check.look(format!("Redis {host}:{port}"), async move {
        match RedisAllowList::look(&host, port).await {
            Ok(()) => Ok("answers".to_owned()),
            Err(why) => Err(format!("{why}; start Redis, or set REDIS_HOST and REDIS_PORT")),
        }
    });
    check
}
