//! A long outage of the ACL service causes two lines in the log, not one per task.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use celery_protocol::{Dict, Value as Argument};
use harness::{Receiver, Reply};
use tracing::Level;
use worker::audit_log::NoAuditLog;
use worker::authorize::Authorizer;

use crate::stack;

const BEGIN: i128 = 1_795_345_700_000_000_000;
const SECOND: i128 = 1_000_000_000;
const STATION: &str = "5e3a0000-0000-4000-8000-000000000001";

#[tokio::test]
async fn it_is_logged_when_it_begins_and_when_it_is_over() {
    let is_down = Arc::new(AtomicBool::new(true));
    let acl = {
        let is_down = Arc::clone(&is_down);
        Receiver::start_with(move |_| {
            if is_down.load(Ordering::Relaxed) {
                Reply::status(503)
            } else {
                Reply::Answer(200, Vec::new(), br#"{"allowed":true}"#.to_vec())
            }
        })
        .await
    };
    let callbacks = Receiver::start().await;
    let authorizer = Authorizer::new(
        stack::acl_client(&acl.url("")),
        stack::callback_client(),
        stack::audit_log(NoAuditLog),
    );
    let authorize_at = async |seconds: i128| {
        let now = BEGIN + seconds * SECOND;
        let args = Argument::List(vec![
            STATION.into(),
            "validDriverToken-0001".into(),
            callbacks.url("/cb").into(),
            (now + 5 * SECOND).into(),
        ]);
        authorizer
            .authorize("task", &args, &Argument::Dict(Dict::new()), now)
            .await
            .unwrap();
    };
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::DEBUG)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        });
    let _here = tracing::subscriber::set_default(subscriber.finish());

    for second in 0..50 {
        authorize_at(second).await;
    }
    is_down.store(false, Ordering::Relaxed);
    authorize_at(50).await;
    authorize_at(70).await;
    authorize_at(71).await;

    let reason = "the ACL service answered with status 503";
    let begins =
        format!(" WARN {reason}; verdicts are unknown until it answers again station.id=\"{STATION}\"");
    let goes_on = format!("DEBUG {reason}; the verdict is unknown station.id=\"{STATION}\"");
    let is_over = " INFO the ACL service answers again; 50 verdicts were unknown".to_owned();
    let expected: Vec<String> = std::iter::once(begins)
        .chain(std::iter::repeat_n(goes_on, 49))
        .chain([is_over])
        .collect();
    assert_eq!(log.lines_of("ACL service"), expected);
    let told: Vec<String> = callbacks
        .requests()
        .iter()
        .map(|callback| callback.field("status"))
        .collect();
    assert_eq!(told[..50], vec!["unknown".to_owned(); 50]);
    assert_eq!(told[50..], vec!["allowed".to_owned(); 3]);
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines_of(&self, subject: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains(subject))
            .map(ToOwned::to_owned)
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
