//! `--check`: what this program needs.

use explain::explain;
use service_kit::check::Check;
use worker::looks;

use crate::config::Config;
use crate::database::{self, Looked};
use crate::ports::{ACL, API};

/// What there is to look at.
pub(crate) fn check(config: &Config) -> Check {
    let mut check = Check::new();
    check.listening("public API", &config.api, API.variable);
    check.listening("ACL service", &config.acl, ACL.variable);
    check.health(config.admin.as_ref());
    let path = config.database.clone();
    check.look(format!("database {}", path.display()), async move {
        // A file that another program has locked is waited for.
        let looked = tokio::task::spawn_blocking(move || database::look(&path)).await;
        match looked {
            Ok(Ok(Looked::Ours)) => Ok("can be used".to_owned()),
            Ok(Ok(Looked::New)) => Ok("is not there yet; it is made at the start".to_owned()),
            Ok(Err(why)) => Err(why.reason()),
            Err(error) => Err(explain(&error)),
        }
    });
    looks::callbacks(&mut check, &config.worker);
    check
}
