//! What the program says at its start: what runs, and what to try.

use std::net::SocketAddr;
use std::path::Path;

use crate::cli::RECEIVER_PORT;
use crate::config::Config;
use crate::services::Services;
use crate::terminal::quoted;

const STATION: &str = "5e3a7b1c-0d2e-4f6a-8b9c-1d2e3f4a5b6c";
const DRIVER: &str = "validDriverToken-0001";
const UNKNOWN_DRIVER: &str = "otherDriverToken-0002";

/// The start-up text. Every command in it works as it stands, in any directory.
pub(crate) fn welcome(services: &Services, config: &Config) -> String {
    let file = std::path::absolute(&config.database).unwrap_or_else(|_| config.database.clone());
    let found = match services.found {
        0 => "no request is waiting in it".to_owned(),
        1 => "1 request was waiting in it and is run now".to_owned(),
        found => format!("{found} requests were waiting in it and are run now"),
    };
    let mut text = format!(
        "The three services run in this process. No broker, no Redis: everything is in one file.\n\n  \
         public API   http://{}\n  ACL service  http://{}\n  file         {}  ({found})\n",
        services.api,
        services.acl,
        file.display()
    );
    if !config.without_effect.is_empty() {
        text += "\nSet, but without effect here: ";
        text += &config.without_effect.join(", ");
        text += ".\n";
    }
    text.push('\n');
    text.push_str(&things_to_try(services.api, services.acl, &program(), &file));
    text.push_str("\nCtrl-C stops. What was accepted and not answered stays in the file and is run at the next start.\n");
    text
}

fn things_to_try(api: SocketAddr, acl: SocketAddr, program: &str, file: &Path) -> String {
    let driver = |token| format!("station/{STATION}/driver/{token}");
    let (allowed, other) = (driver(DRIVER), driver(UNKNOWN_DRIVER));
    let callback = format!("callback_url=http://127.0.0.1:{RECEIVER_PORT}/verdict");
    let file = quoted(&file.to_string_lossy());
    format!(
        "To try it, let a second terminal print the callbacks:\n\n  \
         {program} receive --port {RECEIVER_PORT}\n\n\
         and in a third one allow a driver, ask the ACL service, then ask for an allowed and a refused driver:\n\n  \
         curl -X PUT http://{acl}/{allowed}/acl\n  \
         curl http://{acl}/{allowed}/acl\n  \
         curl 'http://{api}/{allowed}/authorize?{callback}'\n  \
         curl 'http://{api}/{other}/authorize?{callback}'\n\n\
         The audit log, and what waits in the queue:\n\n  \
         {program} log --database {file}\n  \
         {program} queue --database {file}\n"
    )
}

/// How this program can be called from any directory.
fn program() -> String {
    let path = std::env::current_exe().ok();
    quoted(&path.map_or_else(|| "standalone".into(), |path| path.to_string_lossy().into_owned()))
}
