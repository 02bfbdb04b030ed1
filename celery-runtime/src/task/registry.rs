//! The registered tasks of a worker: Celery's `app.tasks`.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use celery_protocol::Value;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::task::exception::{Exception, panic_text};
use crate::task::options::TaskOptions;
use crate::task::outcome::{Outcome, Retry, TaskError, TaskResult, When};
use crate::task::request::Request;
use crate::task::settlement::Settlement;
use crate::task::time_limits::{Elapsed, TimeLimits};

/// The tasks of a worker by name.
#[derive(Default, Clone)]
pub struct Registry {
    tasks: BTreeMap<String, Arc<RegisteredTask>>,
}

/// A task that can be run.
pub struct RegisteredTask {
    options: TaskOptions,
    handler: Box<dyn Fn(Request) -> BoxFuture<'static, TaskResult> + Send + Sync>,
}

impl Registry {
    /// Creates a registry without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers an async handler. A task with the same name is replaced, as in Celery.
    pub fn register<F, R>(&mut self, options: TaskOptions, handler: F)
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = TaskResult> + Send + 'static,
    {
        let name = options.name.clone();
        let task = RegisteredTask {
            options,
            handler: Box::new(move |request| handler(request).boxed()),
        };
        self.tasks.insert(name, Arc::new(task));
    }

    /// Returns the task with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<RegisteredTask>> {
        self.tasks.get(name)
    }

    /// Returns the names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Debug for RegisteredTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredTask")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl RegisteredTask {
    /// Returns the options that the task was registered with.
    pub fn options(&self) -> &TaskOptions {
        &self.options
    }

    /// Runs the task until it ends or its time limit passes (contract E.6). A panic is a failure of the task, never
    /// of the worker.
    pub async fn run(&self, request: Request) -> Outcome {
        self.run_within(request, TimeLimits::registered(&self.options))
            .await
    }

    /// Runs the task within these limits instead of those in its options.
    pub(crate) async fn run_within(&self, request: Request, limits: TimeLimits) -> Outcome {
        let limits = limits.or_of(request.message());
        let handled = AssertUnwindSafe(async { (self.handler)(request.clone()).await }).catch_unwind();
        match limits.enforce(&request, handled).await {
            Ok(Ok(result)) => self.outcome(&request, result),
            Ok(Err(panic)) => Outcome::Failed(Exception::new("Panic", panic_text(&*panic))),
            Err(Elapsed(limit)) => Outcome::TimedOut(limit),
        }
    }

    fn outcome(&self, request: &Request, result: TaskResult) -> Outcome {
        match result {
            Ok(value) => Outcome::Succeeded(value),
            Err(TaskError::Failed(exception)) => Outcome::Failed(exception),
            Err(TaskError::Retry(retry)) => self.retry(request, retry),
            Err(TaskError::Reject { requeue, reason }) => Outcome::Rejected { requeue, reason },
            Err(TaskError::Ignore) => Outcome::Ignored,
        }
    }

    /// Implements Celery's `Task.retry`: returns another run, or a failure if the maximum of retries is reached.
    fn retry(&self, request: &Request, retry: Retry) -> Outcome {
        let message = request.message();
        let most = retry.max_retries.or(self.options.max_retries);
        if most.is_some_and(|most| message.retries >= i64::from(most)) {
            return Outcome::Failed(retry.exception.unwrap_or_else(|| {
                let args = message.positional().unwrap_or_default().to_vec();
                let text = format!(
                    "Can't retry {}[{}] args:{} kwargs:{}",
                    message.task,
                    message.id,
                    Value::Tuple(args).py_repr(),
                    message.kwargs.py_repr()
                );
                Exception::new("MaxRetriesExceededError", text)
            }));
        }
        Outcome::Retried {
            when: retry.when.unwrap_or(When::In(self.options.default_retry_delay)),
            exception: retry.exception,
        }
    }

    /// Returns whether its message is acked after the run, given the worker's setting.
    pub(crate) fn acks_late(&self, worker_default: bool) -> bool {
        self.options.acks_late.unwrap_or(worker_default)
    }

    /// Returns whether Celery would log this failure as `raised expected`.
    pub(crate) fn expects(&self, exception: &Exception) -> bool {
        self.options.throws.contains(&exception.kind)
    }

    /// Returns how the message is settled if it is acked late (contract E.1).
    pub fn settlement(&self, outcome: &Outcome) -> Settlement {
        match outcome {
            Outcome::Failed(_) if !self.options.acks_on_failure => Settlement::Reject { requeue: false },
            Outcome::TimedOut(_) if !self.options.acks_on_timeout => Settlement::Reject { requeue: true },
            outcome => Settlement::of(outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use celery_protocol::{Incoming, Sender, TaskCall, TaskMessage};

    use super::*;

    fn message(retries: i64) -> TaskMessage {
        let sender = Sender {
            origin: "gen1@host".to_owned(),
            reply_to: "r".to_owned(),
        };
        let mut call = TaskCall::new("demo.retry", "42", &sender).with_args(vec![Value::from(1)]);
        call.retries = retries;
        Incoming::identify(call.encode()).unwrap().decode().unwrap()
    }

    async fn outcome(
        set: impl FnOnce(&mut TaskOptions),
        retries: i64,
        retry: impl Fn(&Request) -> Retry + Send + Sync + 'static,
    ) -> Outcome {
        let mut registry = Registry::new();
        let mut options = TaskOptions::named("demo.retry");
        set(&mut options);
        registry.register(options, move |request| {
            let retry = retry(&request);
            async { Err(retry.into()) }
        });
        let request = Request::new(message(retries), false);
        registry.get("demo.retry").unwrap().run(request).await
    }

    #[tokio::test]
    async fn retries_end_at_their_maximum() {
        let again = |request: &Request| request.retry(Exception::new("KeyError", "again"));
        let in_three_minutes = Outcome::Retried {
            when: When::In(Duration::from_mins(3)),
            exception: Some(Exception::new("KeyError", "again")),
        };
        assert_eq!(outcome(|_| {}, 2, again).await, in_three_minutes);
        assert_eq!(
            outcome(|_| {}, 3, again).await,
            Outcome::Failed(Exception::new("KeyError", "again"))
        );
        assert_eq!(
            outcome(|options| options.max_retries = None, 99, again).await,
            in_three_minutes
        );
        let once = move |request: &Request| Retry {
            max_retries: Some(1),
            ..again(request)
        };
        assert_eq!(outcome(|_| {}, 0, once).await, in_three_minutes);
        assert!(matches!(outcome(|_| {}, 1, once).await, Outcome::Failed(_)));
        let silent = outcome(|_| {}, 3, |_| Retry::default()).await;
        let text = "Can't retry demo.retry[42] args:(1,) kwargs:{}";
        assert_eq!(
            silent,
            Outcome::Failed(Exception::new("MaxRetriesExceededError", text))
        );
    }

    #[tokio::test]
    async fn the_retry_delay_is_the_callers_or_the_tasks() {
        let soon = |request: &Request| {
            request
                .retry(Exception::new("KeyError", "again"))
                .after(Duration::from_secs(1))
        };
        let when = |outcome| match outcome {
            Outcome::Retried { when, .. } => when,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            when(outcome(|_| {}, 0, soon).await),
            When::In(Duration::from_secs(1))
        );
        let delay = |options: &mut TaskOptions| options.default_retry_delay = Duration::from_secs(7);
        let silent = |_: &Request| Retry::default();
        assert_eq!(
            when(outcome(delay, 0, silent).await),
            When::In(Duration::from_secs(7))
        );
    }
}
