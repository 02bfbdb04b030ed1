//! The open result backend: reports tasks that start, end or are revoked.

use celery_protocol::{Incoming, Signature, TaskMessage, Value};
use jiff::Timestamp;

use super::backend::ResultBackend;
use super::child::Child;
use super::chord::{Broken, Claim, Failed, Join, Part};
use super::failed_chain;
use super::meta::{Identity, Meta, State};
use super::record::Record;
#[cfg(feature = "redis")]
use super::redis_results::RedisResults;
use super::rpc_results::RpcResults;
use crate::amqp::publisher::Publisher;
use crate::task::options::TaskOptions;
use crate::task::outcome::Outcome;
use crate::task::request::Request;

/// The open result backend. Nothing here fails: anything that cannot be stored is retried until it succeeds, within
/// the run that it belongs to, so that its message stays unacked; a cold shutdown drops both.
pub(crate) enum Results {
    None,
    #[cfg(feature = "redis")]
    Redis(RedisResults),
    Rpc(RpcResults),
}

#[cfg_attr(
    not(feature = "redis"),
    expect(unused_variables, reason = "chords are counted in Redis")
)]
impl Results {
    /// Opens the backend. The first result connects to Redis. Replies for `rpc://` are sent by the worker's
    /// `publisher`.
    pub(crate) fn new(backend: &ResultBackend, publisher: impl FnOnce() -> Publisher) -> Self {
        match backend {
            ResultBackend::None => Self::None,
            #[cfg(feature = "redis")]
            ResultBackend::Redis(url) => Self::Redis(RedisResults::new(url.clone())),
            ResultBackend::Rpc => Self::Rpc(RpcResults::new(publisher())),
        }
    }

    /// Reports that a run begins on the node with this name, for tasks with `track_started`.
    pub(crate) async fn started(&self, request: &Request, options: &TaskOptions, nodename: &str) {
        if matches!(self, Self::None) || !options.track_started {
            return;
        }
        let record = Record::started(nodename);
        if record.is_wanted(request.message(), options) {
            self.store(Identity::of(request.message()), &record, Vec::new())
                .await;
        }
    }

    /// Reports that a run has ended, after which `children` were sent. The returned actions for chords must be
    /// taken before the message is acked: see [`Join`].
    pub(crate) async fn ended(
        &self,
        request: &Request,
        options: &TaskOptions,
        outcome: &Outcome,
        mut children: Vec<Child>,
    ) -> Vec<Join> {
        if matches!(self, Self::None) {
            return Vec::new();
        }
        let Some(record) = Record::of(request.task(), outcome) else {
            return Vec::new();
        };
        if record.state == State::Retry {
            // In Celery, the task itself sends the retry.
            children.push(Child::Task(request.id().to_owned()));
        }
        self.conclude(request.message(), options, &record, children).await
    }

    /// Reports that a task will not run, or was terminated: `reason` is Celery's word, `expired`, `revoked` or
    /// `terminated`.
    pub(crate) async fn revoked(
        &self,
        message: &TaskMessage,
        options: &TaskOptions,
        reason: &str,
    ) -> Vec<Join> {
        if matches!(self, Self::None) {
            return Vec::new();
        }
        self.conclude(message, options, &Record::revoked(reason), Vec::new())
            .await
    }

    /// Reports a message for a task that is not registered here. Celery uses only its id, and stores the failure
    /// whether results are ignored or not (`celery/worker/consumer/consumer.py: on_unknown_task`).
    pub(crate) async fn unregistered(&self, message: &Incoming) {
        let (false, Some(task)) = (matches!(self, Self::None), Identity::named(message)) else {
            return;
        };
        self.store(task, &Record::unregistered(message.task()), Vec::new())
            .await;
    }

    /// Stores the result, counts the chord part and fails the rest of the chain, in Celery's order
    /// (`celery/backends/base.py: mark_as_done`, `mark_as_failure`, `mark_as_revoked`).
    async fn conclude(
        &self,
        message: &TaskMessage,
        options: &TaskOptions,
        record: &Record,
        children: Vec<Child>,
    ) -> Vec<Join> {
        let wanted = record.is_wanted(message, options);
        if wanted {
            self.store(Identity::of(message), record, children).await;
        }
        let mut joins = Vec::new();
        if record.state.is_final()
            && let Some(part) = Part::of(message)
        {
            joins.extend(self.returned(&part, record).await);
        }
        if record.state == State::Failure
            && let Some(chain) = &message.embed.chain
        {
            joins.extend(self.fail_chain(chain, record, wanted).await);
        }
        joins
    }

    /// Fails the steps of a chain along with the step before them; a step in a chord's header counts as returned,
    /// unless it has failed before.
    async fn fail_chain(&self, chain: &[Signature], record: &Record, store: bool) -> Vec<Join> {
        let mut joins = Vec::new();
        for step in failed_chain::steps(chain) {
            let returned = match (&step.part, &step.task) {
                (Some(part), Some(task)) if !self.has_failed(&task.id).await => Some(part),
                (Some(part), None) => Some(part),
                _ => None,
            };
            if store && let Some(task) = step.task.clone() {
                self.store(task, record, Vec::new()).await;
            }
            if let Some(part) = returned {
                joins.extend(self.returned(part, record).await);
            }
        }
        joins
    }

    /// Fails the body of a broken chord and the tasks that would have followed it. `failed` are the tasks that fail
    /// with it, whose errbacks were sent before; they are among the `children`, after those of the run that broke
    /// the chord.
    pub(crate) async fn fail_body(
        &self,
        broken: &Broken,
        failed: Vec<Failed>,
        children: &[Child],
    ) -> Vec<Join> {
        let mut record = Record::failed(broken.body.task(), &broken.error);
        let chord_error = record.result.clone();
        record.result = broken.result();
        for Failed { id, .. } in failed {
            let task = Identity {
                id,
                ..Identity::default()
            };
            self.store(task, &record, children.to_vec()).await;
        }
        record.result = chord_error;
        record.traceback = None;
        let chain: Vec<Signature> = match broken.body.option("chain") {
            Some(Value::List(steps)) => steps.iter().cloned().filter_map(Signature::from_value).collect(),
            _ => Vec::new(),
        };
        let joins = self.fail_chain(&chain, &record, true).await;
        #[cfg(feature = "redis")]
        if let Self::Redis(redis) = self {
            redis.broken(&broken.group).await;
        }
        joins
    }

    /// Stores how many tasks of a header will return, before the chord is sent.
    pub(crate) async fn chord_size(&self, group: &str, size: usize) {
        #[cfg(feature = "redis")]
        if let Self::Redis(redis) = self {
            redis.chord_size(group, size).await;
        }
    }

    /// Returns whether this worker may still send the body of a complete chord.
    pub(crate) async fn may_send(&self, claim: &Claim) -> bool {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.extend(claim).await,
            _ => false,
        }
    }

    /// Records that the body of a complete chord was sent.
    pub(crate) async fn sent(&self, claim: &Claim) {
        #[cfg(feature = "redis")]
        if let Self::Redis(redis) = self {
            redis.sent(claim).await;
        }
    }

    async fn store(&self, task: Identity, record: &Record, children: Vec<Child>) {
        let meta = Meta {
            state: record.state,
            result: record.result.clone(),
            traceback: record.traceback.clone(),
            children,
            task,
        };
        let json = meta.to_json(Timestamp::now());
        match self {
            Self::None => {}
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.store(&meta.task.id, &json).await,
            Self::Rpc(rpc) => rpc.reply(&meta.task, json).await,
        }
    }

    async fn returned(&self, part: &Part, record: &Record) -> Option<Join> {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.returned(part, record.state.name(), &record.result).await,
            _ => None,
        }
    }

    /// Returns whether a failure or a revocation is stored for the task.
    async fn has_failed(&self, id: &str) -> bool {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(redis) => matches!(redis.status(id).await.as_deref(), Some("FAILURE" | "REVOKED")),
            _ => false,
        }
    }
}
