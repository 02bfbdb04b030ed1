//! One authorization from start to end (behaviour 5): whether it is expired, valid and allowed, then the callback, then
//! the record.

use std::time::Duration;

use callback_client::callback_url::{self, Judgement};
use callback_client::{CallbackClient, CallbackStatus};
use celery_protocol::{Dict, Text, Value, json};
use tokio::time::Instant;
use tracing::warn;

use crate::acl_client::AclClient;
use crate::arguments::{ArgumentError, Arguments};
use crate::audit_log::{AuditLog, AuditRecord};
use crate::driver_token;
use crate::verdict::Verdict;

/// Decides on authorizations, sends the callbacks and writes the audit records.
#[derive(Debug)]
pub struct Authorizer {
    acl: AclClient,
    callbacks: CallbackClient,
    audit_log: AuditLog,
}

/// The decision that follows from the arguments alone.
enum Decision<'a> {
    /// The verdict.
    Given(Verdict),
    /// The verdict for arguments on which Python fails, and its exception.
    Failed(Verdict, ArgumentError),
    /// There is no verdict yet: the ACL service has to be asked about this station and token, within this time.
    Open {
        station_id: String,
        token: &'a Text,
        time_left: Duration,
    },
}

impl Authorizer {
    /// Creates an authorizer that uses these parts.
    pub fn new(acl: AclClient, callbacks: CallbackClient, audit_log: AuditLog) -> Self {
        Self {
            acl,
            callbacks,
            audit_log,
        }
    }

    /// Runs the task `task_id`, `authorize(*args, **kwargs)`; `now` is the time at which the task began, in nanoseconds
    /// since 1970.
    ///
    /// Once the arguments are bound, the caller receives a callback and a record is written, whatever goes wrong.
    /// Returns when the record is written.
    ///
    /// # Errors
    ///
    /// The exception that Python raises for wrong arguments.
    pub async fn authorize(
        &self,
        task_id: &str,
        args: &Value,
        kwargs: &Value,
        now: i128,
    ) -> Result<(), ArgumentError> {
        let began = Instant::now();
        let arguments = Arguments::bind(args, kwargs)?;
        let url = match arguments.url() {
            Ok(url) => callback_url::judge_wtf8(url.as_wtf8()),
            Err(_) => Judgement::Invalid,
        };
        let (verdict, result) = match decide(&arguments, &url, now) {
            Decision::Given(verdict) => (verdict, Ok(())),
            Decision::Failed(verdict, error) => (verdict, Err(error)),
            Decision::Open {
                station_id,
                token,
                time_left,
            } => (self.ask(&station_id, token, time_left, now, began).await, Ok(())),
        };
        let callback_status = self.call_back(task_id, &arguments, url, verdict).await;
        if let Some(trouble) = callback_status.trouble(|| arguments.callback_url.py_str()) {
            warn!(
                "the verdict of task {} did not reach its caller: {trouble}",
                callback_client::shown(task_id)
            );
        }
        self.audit_log
            .write(record(task_id, &arguments, verdict, &callback_status, now))
            .await;
        result
    }

    /// Asks the ACL service for its answer, within `time_left` after `began`. `now` is the time of `began`.
    async fn ask(
        &self,
        station_id: &str,
        token: &Text,
        time_left: Duration,
        now: i128,
        began: Instant,
    ) -> Verdict {
        let elapsed = began.elapsed();
        let within = time_left.saturating_sub(elapsed);
        let now = now + i128::try_from(elapsed.as_nanos()).unwrap_or(0);
        match self.acl.ask(station_id, token, within, now).await {
            Some(true) => Verdict::Allowed,
            Some(false) => Verdict::NotAllowed,
            None => Verdict::Unknown,
        }
    }

    async fn call_back(
        &self,
        task_id: &str,
        arguments: &Arguments,
        url: Judgement,
        verdict: Verdict,
    ) -> CallbackStatus {
        match url {
            Judgement::Invalid => CallbackStatus::InvalidUrl,
            Judgement::Unsendable { text } => CallbackStatus::Unsendable(text),
            Judgement::Sendable(url) => self.callbacks.post(task_id, url, body(arguments, verdict)).await,
        }
    }
}

/// Decides in the order of behaviour 5. An expired request is `unknown` even if it is invalid.
fn decide<'a>(arguments: &'a Arguments, url: &Judgement, now: i128) -> Decision<'a> {
    let expiry = match arguments.expiry() {
        Ok(expiry) => expiry,
        Err(error) => return Decision::Failed(Verdict::Invalid, error),
    };
    if expiry.is_past(now) {
        return match arguments.url() {
            Ok(_) => Decision::Given(Verdict::Unknown),
            Err(error) => Decision::Failed(Verdict::Unknown, error),
        };
    }
    let token = match (arguments.token(), arguments.url()) {
        (Ok(token), Ok(_)) => token,
        (Err(error), _) | (_, Err(error)) => return Decision::Failed(Verdict::Invalid, error),
    };
    if !driver_token::is_valid(token) || matches!(url, Judgement::Invalid) {
        return Decision::Given(Verdict::Invalid);
    }
    let Some(station_id) = arguments.station_uuid() else {
        return Decision::Given(Verdict::Invalid);
    };
    match expiry.left(now) {
        Ok(time_left) => Decision::Open {
            station_id,
            token,
            time_left,
        },
        Err(error) => Decision::Failed(Verdict::Invalid, error),
    }
}

/// Returns the callback's JSON. It contains the token as in the message, even if it is not a text.
fn body(arguments: &Arguments, verdict: Verdict) -> String {
    let station = match &arguments.station_id {
        text @ Value::Text(_) => text.clone(),
        other => other.py_str().into(),
    };
    let token = match &arguments.driver_token {
        no_json @ (Value::Bytes(_) | Value::Uuid(_)) => no_json.py_str().into(),
        other => other.clone(),
    };
    let mut body = Dict::new();
    body.insert("station_id", station);
    body.insert("driver_token", token);
    body.insert("status", verdict.as_str());
    json::to_json(&Value::Dict(body))
}

fn record(
    task_id: &str,
    arguments: &Arguments,
    verdict: Verdict,
    callback: &CallbackStatus,
    now: i128,
) -> AuditRecord {
    AuditRecord {
        task_id: task_id.to_owned(),
        start_time_ns: now,
        station_id: arguments.station_id.py_str(),
        driver_token: arguments.driver_token.py_str(),
        status: verdict,
        callback_status: callback.to_string(),
        callback_url: arguments.callback_url.py_str(),
    }
}
