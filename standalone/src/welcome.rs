//! The text that the program prints at its start: what is running, and what to try.

use std::net::SocketAddr;
use std::path::Path;

use crate::cli::RECEIVER_PORT;
use crate::config::Config;
use crate::services::Services;
use crate::terminal::quoted;

const STATION: &str = "5e3a7b1c-0d2e-4f6a-8b9c-1d2e3f4a5b6c";
const DRIVER: &str = "validDriverToken-0001";
const UNKNOWN_DRIVER: &str = "otherDriverToken-0002";

/// Returns the start-up text. Every command in it works as printed, in any directory.
pub(crate) fn welcome(services: &Services, config: &Config) -> String {
    let file = std::path::absolute(&config.database).unwrap_or_else(|_| config.database.clone());
    let found = match services.found {
        0 => "no request is waiting in it".to_owned(),
        1 => "1 request was waiting in it and is now being run".to_owned(),
        found => format!("{found} requests were waiting in it and are now being run"),
    };
    let mut text = format!(
        "The three services run in this process. There is no broker and no Redis: all data is in one file.\n\n  \
         public API   http://{}\n  ACL service  http://{}\n  file         {}  ({found})\n",
        services.api,
        services.acl,
        file.display()
    );
    if !config.without_effect.is_empty() {
        text += "\nThese variables are set but have no effect here: ";
        text += &config.without_effect.join(", ");
        text += ".\n";
    }
    text.push('\n');
    text.push_str(&things_to_try(services.api, services.acl, &program(), &file));
    text.push_str("\nPress Ctrl-C to stop. Requests that were accepted but not answered stay in the file and run at the next start.\n");
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
         and in a third one, allow a driver, query the ACL service, then request authorization for an allowed and a refused driver:\n\n  \
         curl -X PUT http://{acl}/{allowed}/acl\n  \
         curl http://{acl}/{allowed}/acl\n  \
         curl 'http://{api}/{allowed}/authorize?{callback}'\n  \
         curl 'http://{api}/{other}/authorize?{callback}'\n\n\
         To see the audit log and the queue:\n\n  \
         {program} log --database {file}\n  \
         {program} queue --database {file}\n"
    )
}

/// Returns how this program can be called from any directory.
fn program() -> String {
    let path = std::env::current_exe().ok();
    quoted(&path.map_or_else(|| "standalone".into(), |path| path.to_string_lossy().into_owned()))
}
