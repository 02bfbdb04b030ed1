//! One authorization from top to bottom (behaviour 5): expired? valid? allowed? Then the callback, then the record.

use std::time::Duration;

use celery_protocol::{Dict, Value, json};
use explain::explain;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::acl_client::{AclClient, AclError};
use crate::acl_outage::AclOutage;
use crate::arguments::{ArgumentError, Arguments};
use crate::audit_log::{AuditLog, AuditRecord};
use crate::callback::CallbackClient;
use crate::callback_status::{self, CallbackStatus};
use crate::callback_url::{self, Judgement};
use crate::driver_token;
use crate::verdict::Verdict;

/// Decides, calls back and records.
#[derive(Debug)]
pub struct Authorizer {
    acl: AclClient,
    acl_outage: AclOutage,
    callbacks: CallbackClient,
    audit_log: AuditLog,
}

/// What the arguments alone tell.
enum Decision {
    /// The verdict.
    Given(Verdict),
    /// The verdict for arguments that Python fails over, and how it fails.
    Failed(Verdict, ArgumentError),
    /// Nothing: the ACL service has to be asked, within this time.
    Open { station_id: String, time_left: Duration },
}

impl Authorizer {
    /// An authorizer that works with these three.
    pub fn new(acl: AclClient, callbacks: CallbackClient, audit_log: AuditLog) -> Self {
        Self {
            acl,
            acl_outage: AclOutage::default(),
            callbacks,
            audit_log,
        }
    }

    /// Runs the task `task_id`, `authorize(*args, **kwargs)`; `now` is the time at which the task began, in nanoseconds since 1970.
    ///
    /// Once the arguments are bound, the caller gets a callback and the log a record, whatever goes wrong. Returns when the
    /// record is written.
    ///
    /// # Errors
    ///
    /// The exception that Python raises for wrong arguments.
    pub async fn authorize(
        &self,
        task_id: &str,
        args: &Value,
        kwargs: &Dict,
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
                time_left,
            } => {
                let time_left = time_left.saturating_sub(began.elapsed());
                let answer = self.ask(&arguments, &station_id, time_left).await;
                let elapsed = i128::try_from(began.elapsed().as_nanos()).unwrap_or(0);
                self.note(&station_id, &answer, now + elapsed);
                (answer.unwrap_or(Verdict::Unknown), Ok(()))
            }
        };
        let callback_status = self.call_back(task_id, &arguments, url, verdict).await;
        if let Some(trouble) = callback_status.trouble(|| arguments.callback_url.py_str()) {
            warn!(
                "the verdict of task {} did not reach its caller: {trouble}",
                callback_status::shown(task_id)
            );
        }
        self.audit_log
            .write(record(task_id, &arguments, verdict, &callback_status, now))
            .await;
        result
    }

    async fn ask(
        &self,
        arguments: &Arguments,
        station_id: &str,
        time_left: Duration,
    ) -> Result<Verdict, AclError> {
        let Ok(token) = arguments.token() else {
            return Ok(Verdict::Invalid);
        };
        let is_allowed = self.acl.is_allowed(station_id, token, time_left).await?;
        Ok(if is_allowed {
            Verdict::Allowed
        } else {
            Verdict::NotAllowed
        })
    }

    /// Tells of an outage when it begins and when it is over; of the tasks in between at debug level.
    fn note(&self, station_id: &str, answer: &Result<Verdict, AclError>, now: i128) {
        match answer {
            Ok(_) => match self.acl_outage.answered(now) {
                None => {}
                Some(1) => info!("the ACL service answers again; 1 verdict was unknown"),
                Some(unknown) => info!("the ACL service answers again; {unknown} verdicts were unknown"),
            },
            Err(error) if self.acl_outage.failed(now) => warn!(
                station.id = station_id,
                "{}; verdicts are unknown until it answers again",
                explain(error)
            ),
            Err(error) => debug!(
                station.id = station_id,
                "{}; the verdict is unknown",
                explain(error)
            ),
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

/// Behaviour 5, in its order. Expiry wins over everything that is invalid.
fn decide(arguments: &Arguments, url: &Judgement, now: i128) -> Decision {
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
            time_left,
        },
        Err(error) => Decision::Failed(Verdict::Invalid, error),
    }
}

/// The callback's JSON. The token stands in it as the message had it, even if it is no text.
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
