//! `--check`: the needs of this program.

use explain::explain;
use service_kit::check::Check;
use worker::looks;

use crate::config::Config;
use crate::database::{self, Looked};
use crate::ports::{ACL, API};

/// Lists everything to check.
pub(crate) fn check(config: &Config) -> Check {
    let mut check = Check::new();
    check.listening("public API", &config.api, API.variable);
    check.listening("ACL service", &config.acl, ACL.variable);
    check.health(config.admin.as_ref());
    let path = config.database.clone();
    check.look(format!("database {}", path.display()), async move {
        // The check waits for a file that another program has locked.
        let looked = tokio::task::spawn_blocking(move || database::look(&path)).await;
        match looked {
            Ok(Ok(Looked::Ours)) => Ok("can be used".to_owned()),
            Ok(Ok(Looked::New)) => Ok("does not exist yet; the start creates it".to_owned()),
            Ok(Err(why)) => Err(why.reason()),
            Err(error) => Err(explain(&error)),
        }
    });
    looks::callbacks(&mut check, &config.worker);
    check
}
