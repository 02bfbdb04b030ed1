//! The open result backend: what the worker makes known of a task that starts, ends or is revoked.

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

/// Where results go. Nothing here fails: what cannot be stored is tried again until it can, within the run that it
/// belongs to, so that its message stays unacked; a cold shutdown drops both.
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
    /// Redis is connected to by the first result. Replies of `rpc://` go out by the worker's `publisher`.
    pub(crate) fn new(backend: &ResultBackend, publisher: impl FnOnce() -> Publisher) -> Self {
        match backend {
            ResultBackend::None => Self::None,
            #[cfg(feature = "redis")]
            ResultBackend::Redis(url) => Self::Redis(RedisResults::new(url.clone())),
            ResultBackend::Rpc => Self::Rpc(RpcResults::new(publisher())),
        }
    }

    /// A run begins on the node of this name; said for tasks with `track_started`.
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

    /// A run has ended, and `children` were sent because of that. What chords ask for now is to be done before the
    /// message is acked: see [`Join`].
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
            // The retry is sent by the task itself, as Celery sees it.
            children.push(Child::Task(request.id().to_owned()));
        }
        self.conclude(request.message(), options, &record, children).await
    }

    /// A task will not run, or was ended: `reason` is Celery's word, `expired`, `revoked` or `terminated`.
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

    /// A message asks for a task that is not registered here. Celery looks at nothing but its id, and stores the failure
    /// whether results are ignored or not (`celery/worker/consumer/consumer.py: on_unknown_task`).
    pub(crate) async fn unregistered(&self, message: &Incoming) {
        let (false, Some(task)) = (matches!(self, Self::None), Identity::named(message)) else {
            return;
        };
        self.store(task, &Record::unregistered(message.task()), Vec::new())
            .await;
    }

    /// Celery's order: the result, the chord that the task belongs to, the chain that fails with it
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

    /// The steps of a chain fail with the one before them; that of a chord counts as returned, unless it was before.
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

    /// The body of a broken chord has failed, and what would have followed it. `failed` are the tasks that fail with
    /// it, whose errbacks were sent before; they are among the `children`, behind those of the run that broke it.
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

    /// A chord is about to be sent, of whose header so many tasks will return.
    pub(crate) async fn chord_size(&self, group: &str, size: usize) {
        #[cfg(feature = "redis")]
        if let Self::Redis(redis) = self {
            redis.chord_size(group, size).await;
        }
    }

    /// Whether the body of a complete chord is still this worker's to send.
    pub(crate) async fn may_send(&self, claim: &Claim) -> bool {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.extend(claim).await,
            _ => false,
        }
    }

    /// The body of a complete chord was sent.
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

    /// Whether a failure or a revocation is stored for the task.
    async fn has_failed(&self, id: &str) -> bool {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(redis) => matches!(redis.status(id).await.as_deref(), Some("FAILURE" | "REVOKED")),
            _ => false,
        }
    }
}
